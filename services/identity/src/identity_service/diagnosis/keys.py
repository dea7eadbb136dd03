"""Check whether the secrets open what they must: signing keys, password hashes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from identity_service.composition import Services
from identity_service.domain.errors import IdentityError
from identity_service.settings import Settings
from identity_service.storage.tables import users
from service_kit.running.doctor import Finding, fault, note

_SECONDS: Final = 5.0
"""For all password hashes: an index of them would serve nothing else."""

_PEPPERED: Final = "$hmac-sha384$"
_ID_LENGTH: Final = 8

_KEYS_ADVICE: Final = (
    "give back the key that IDENTITY_KEY_ENCRYPTION_KEYS lacks, and restart"
)
_PEPPERS_ADVICE: Final = "give back the pepper that IDENTITY_PASSWORD_PEPPERS lacks"


async def examine_keys(
    settings: Settings, services: Services
) -> AsyncIterator[Finding]:
    """Yield whether signing keys open, and whether passwords can be checked."""
    yield await _signing_keys(services)
    yield await _password_hashes(settings, services)


async def _signing_keys(services: Services) -> Finding:
    try:
        records = await services.tokens.keys.refresh()
    except IdentityError as error:
        return fault("signing keys", f"not read: {error}", "see the database")
    if not records:
        return Finding("signing keys", "none yet: serve makes the first")
    problem = await services.tokens.keys.fault() or await services.tokens.keys.warning()
    if problem is not None:
        return fault("signing keys", problem, _KEYS_ADVICE)
    return Finding("signing keys", f"{len(records)} published, one signs")


async def _password_hashes(settings: Settings, services: Services) -> Finding:
    pepper_id = func.substr(users.c.password_hash, len(_PEPPERED) + 1, _ID_LENGTH)
    counted = (
        select(pepper_id, func.count())
        .where(users.c.password_hash.startswith(_PEPPERED, autoescape=True))
        .group_by(pepper_id)
    )
    try:
        async with asyncio.timeout(_SECONDS), services.engine.connect() as connection:
            found = {row[0]: row[1] for row in await connection.execute(counted)}
    except (SQLAlchemyError, OSError, TimeoutError):
        return note("password peppers", f"not looked through in {_SECONDS:g} s")
    known = {pepper.id for pepper in settings.password_peppers}
    if lost := sum(count for each, count in found.items() if each not in known):
        text = f"{lost} users have a hash that no pepper of the settings made"
        return fault("password peppers", text, _PEPPERS_ADVICE)
    first = settings.password_peppers.first.id
    if outdated := sum(count for each, count in found.items() if each != first):
        text = f"{outdated} users' hashes still need a later pepper of the list"
        return note("password peppers", text, "keep it until they have signed in")
    return Finding("password peppers", "one made all hashes")
