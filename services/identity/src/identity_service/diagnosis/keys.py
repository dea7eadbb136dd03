"""Check whether the secrets open what they must: keys, hashes, sealed rows."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from sqlalchemy import Select, case, distinct, func, select, union_all
from sqlalchemy.exc import SQLAlchemyError

from identity_service.composition import Services
from identity_service.domain.errors import IdentityError
from identity_service.security.keyrings import KEY_ID_LENGTH
from identity_service.security.recovery_codes import HASH_LENGTH
from identity_service.settings import Settings
from identity_service.storage.faults import reason
from identity_service.storage.tables import outbox, recovery_codes, totp_secrets, users
from service_kit.running.doctor import Finding, fault, note

_SECONDS: Final = 5.0
"""For all rows of one kind: an index of their keys would serve nothing else."""

_PEPPERED: Final = "$hmac-sha384$"
_UNSAID: Final = ""
"""Stands for the pepper of a recovery code that an older version has stored."""

_made = union_all(
    select(
        users.c.id.label("user_id"),
        func.substr(users.c.password_hash, len(_PEPPERED) + 1, KEY_ID_LENGTH).label(
            "key_id"
        ),
    ).where(users.c.password_hash.startswith(_PEPPERED, autoescape=True)),
    select(
        recovery_codes.c.user_id,
        case(
            (
                func.length(recovery_codes.c.code_hash) == HASH_LENGTH,
                func.substr(recovery_codes.c.code_hash, 1, KEY_ID_LENGTH),
            ),
            else_=_UNSAID,
        ),
    ),
).subquery()
_HASHES: Final = select(_made.c.key_id, func.count(distinct(_made.c.user_id))).group_by(
    _made.c.key_id
)
"""Ids of the peppers that made hashes, and of how many users."""

_rows = union_all(
    *(
        select(func.substr(column, 1, KEY_ID_LENGTH // 2).label("key_id"))
        for column in (totp_secrets.c.sealed_secret, outbox.c.sealed)
    )
).subquery()
_SEALED: Final = select(_rows.c.key_id, func.count()).group_by(_rows.c.key_id)
"""The first bytes of what is sealed, which say by which key, and how many begin so."""

_KEYS_ADVICE: Final = (
    "put the missing key back into IDENTITY_KEY_ENCRYPTION_KEYS, and restart"
)
_PEPPERS_ADVICE: Final = "put the missing pepper back into IDENTITY_PASSWORD_PEPPERS"


async def examine_keys(
    settings: Settings, services: Services
) -> AsyncIterator[Finding]:
    """Yield whether the secrets open, and hash, what the database holds."""
    yield await _signing_keys(services)
    yield await _peppers(settings, services)
    yield await _sealed(settings, services)


async def _signing_keys(services: Services) -> Finding:
    try:
        records = await services.tokens.keys.refresh()
    except IdentityError as error:
        return fault("signing keys", f"not read: {error}", "check the database")
    if not records:
        return Finding("signing keys", "none yet: serve makes the first")
    problem = await services.tokens.keys.fault() or await services.tokens.keys.warning()
    if problem is not None:
        return fault("signing keys", problem, _KEYS_ADVICE)
    return Finding("signing keys", f"{len(records)} published, one signs")


async def _peppers(settings: Settings, services: Services) -> Finding:
    """Look for hashes of passwords and recovery codes that a later pepper made."""
    try:
        found = await _counted(services, _HASHES)
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        return note("password peppers", f"not checked: {reason(error)}")
    known = {pepper.id for pepper in settings.password_peppers}
    lost = sum(count for each, count in found.items() if each not in {*known, _UNSAID})
    if lost:
        text = (
            f"{lost} users have a hash made with a pepper that is not in the settings"
        )
        return fault("password peppers", text, _PEPPERS_ADVICE)
    first = settings.password_peppers.first.id
    outdated = sum(count for each, count in found.items() if each != first)
    if outdated and len(known) > 1:
        text = f"{outdated} users' hashes still need a later pepper of the list"
        advice = "keep it until they have signed in, and have new recovery codes"
        return note("password peppers", text, advice)
    return Finding("password peppers", "one made all hashes")


async def _sealed(settings: Settings, services: Services) -> Finding:
    """Look for secrets and letters that a later key-encryption key sealed."""
    try:
        found = await _counted(services, _SEALED)
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        return note("sealed secrets", f"not checked: {reason(error)}")
    counts = {bytes(each).hex(): count for each, count in found.items()}
    known = {key.id for key in settings.key_encryption_keys}
    if lost := sum(count for each, count in counts.items() if each not in known):
        text = f"{lost} apps' secrets and letters do not open"
        return fault("sealed secrets", text, _KEYS_ADVICE)
    first = settings.key_encryption_keys.first.id
    if outdated := sum(count for each, count in counts.items() if each != first):
        text = f"{outdated} apps' secrets and letters still need a later key"
        return note("sealed secrets", text, "identity-service reseal-signing-keys")
    return Finding("sealed secrets", "the first key opens all")


async def _counted(services: Services, query: Select[Any]) -> dict[Any, int]:
    async with asyncio.timeout(_SECONDS), services.engine.connect() as connection:
        found = await connection.execute(query)
        return {row[0]: row[1] for row in found}
