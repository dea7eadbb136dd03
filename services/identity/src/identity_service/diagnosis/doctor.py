"""Check everything that identity needs, and the running process."""

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Final

from identity_service.composition import Services
from identity_service.diagnosis.database import examine_database
from identity_service.diagnosis.issuer import examine_issuer
from identity_service.diagnosis.keys import examine_keys
from identity_service.diagnosis.outside import examine_outside
from identity_service.domain.errors import DatabaseUnavailableError
from identity_service.domain.limits.throttling import Limit
from identity_service.settings import Settings
from identity_service.storage.database_clock import DatabaseClock
from service_kit.running.doctor import Finding, fault, good_unless, note
from service_kit.running.running_process import ask_process
from service_kit.running.unknown_settings import examine_variables
from service_kit.settings import specs

_ANY_LIMIT: Final = (Limit(1, timedelta(minutes=1)),)


async def diagnose(
    settings: Settings, services: Services, environ: Mapping[str, str]
) -> AsyncIterator[Finding]:
    """Yield a finding for each dependency."""
    process = await ask_process(
        "identity", settings.internal_host, settings.internal_port
    )
    for finding in process.findings:
        yield finding
    yield examine_secrets(environ)
    for finding in examine_variables(Settings, environ):
        yield finding
    async for finding in examine_database(settings, services.engine):
        yield finding
    yield await _clock(services.database_clock)
    yield await _roles(services)
    async for finding in examine_keys(settings, services):
        yield finding
    yield await examine_throttle(settings, services)
    async for finding in examine_outside(settings, services):
        yield finding
    async for finding in examine_issuer(settings, services.tokens.keys.kids()):
        yield finding


async def _clock(clock: DatabaseClock) -> Finding:
    """Compare our clock with the database's, by which all replicas judge."""
    try:
        await clock.measure()
    except DatabaseUnavailableError as error:
        return fault("clock", f"no response: {error}", "check the database")
    return good_unless(
        "clock",
        await clock.warning(),
        f"{clock():%Y-%m-%dT%H:%M:%SZ}",
        "have both hosts follow a time server",
    )


async def _roles(services: Services) -> Finding:
    try:
        await services.roles.all()
    except DatabaseUnavailableError as error:
        return fault("roles", f"not read: {error}", "check the database")
    return good_unless(
        "roles",
        await services.roles.fault(),
        "all that identity and its settings name",
        "identity-service roles add NAME --description TEXT",
    )


async def examine_throttle(settings: Settings, services: Services) -> Finding:
    """Return whether attempts are counted, and where."""
    if not settings.throttle:
        off = "off: for load tests and benchmarks only"
        return fault("throttle", off, "IDENTITY_THROTTLE=on")
    await services.counters.clear("doctor", _ANY_LIMIT)
    if found := services.counters.fault:
        advice = "check that Valkey runs, and IDENTITY_THROTTLE_URL"
        return fault("throttle", f"its store does not count: {found}", advice)
    scheme = settings.throttle_url.partition("://")[0]
    return Finding("throttle", f"counts in {scheme}")


def examine_secrets(environ: Mapping[str, str]) -> Finding:
    """Name the secrets that stand in the environment.

    World-readable files were refused when the settings were read.
    """
    names = [spec.name for spec in specs(Settings) if spec.secret]
    in_files = [name for name in names if environ.get(f"{name}_FILE")]
    if exposed := [name for name in names if environ.get(name)]:
        found = f"{', '.join(exposed)}: all who may inspect the process read them"
        return note("secrets", found, "put them into files, named by NAME_FILE")
    return Finding("secrets", f"{len(in_files)} from files that others cannot read")
