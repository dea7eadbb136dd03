"""Look at everything that identity needs, as the doctor does."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from identity_service.composition import Services
from identity_service.domain.errors import DatabaseUnavailableError, IdentityError
from identity_service.domain.throttling import Limit
from identity_service.settings import Settings
from identity_service.storage import schema
from identity_service.storage.database_clock import DatabaseClock
from identity_service.storage.faults import database_fault, reason
from service_kit.doctor import Finding, away, fault, good_unless

_LONGEST_SECONDS: Final = 5.0

_ANY_LIMIT: Final = (Limit(1, timedelta(minutes=1)),)


async def diagnose(settings: Settings, services: Services) -> AsyncIterator[Finding]:
    """Yield one finding for each thing looked at, whatever is wrong."""
    yield await _database(services.engine)
    yield await _clock(services.database_clock)
    yield await _roles(services)
    yield await _signing_keys(services)
    yield await _throttle(settings, services)


async def _database(engine: AsyncEngine) -> Finding:
    known = await asyncio.to_thread(schema.known_versions)
    try:
        async with asyncio.timeout(_LONGEST_SECONDS):
            present = await schema.present_version(engine)
            if found := await database_fault(engine, known):
                return fault("database", found)
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        return away("database", f"no answer: {reason(error)}")
    return Finding("database", f"{engine.dialect.name}, schema {present}")


async def _clock(clock: DatabaseClock) -> Finding:
    """Compare our clock with the database's, by which all replicas judge."""
    try:
        await clock.measure()
    except DatabaseUnavailableError as error:
        return fault("clock", f"no answer: {error}")
    found = f"{clock():%Y-%m-%dT%H:%M:%SZ}"
    warning = await clock.warning()
    return good_unless("clock", warning, found)


async def _roles(services: Services) -> Finding:
    missing = await services.roles.fault()
    return good_unless("roles", missing, "all that identity and its settings name")


async def _signing_keys(services: Services) -> Finding:
    try:
        records = await services.keys.refresh()
    except IdentityError as error:
        return fault("signing keys", f"not read: {error}")
    if not records:
        return Finding("signing keys", "none yet: serve makes the first")
    problem = await services.keys.fault() or await services.keys.warning()
    return good_unless("signing keys", problem, f"{len(records)} published, one signs")


async def _throttle(settings: Settings, services: Services) -> Finding:
    if not settings.throttle:
        return fault("throttle", "off: for load tests and benchmarks only")
    await services.counters.clear("doctor", _ANY_LIMIT)
    if services.counters.is_away:
        return fault("throttle", "its store does not answer")
    scheme = settings.throttle_url.partition("://")[0]
    return Finding("throttle", f"counts in {scheme}")
