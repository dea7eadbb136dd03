"""Each metric moves when that happens which it is there to show."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import count

import pytest
from prometheus_client import CollectorRegistry
from tests.support.database import SERVERS
from tests.support.identity import (
    PASSWORD,
    give_signing_keys,
    identity_settings,
    registry_of,
)
from tests.support.ports import free_ports

from identity_service.composition import Services
from identity_service.domain.errors import (
    DatabaseUnavailableError,
    InvalidCredentialsError,
    RefreshTokenReusedError,
    TooManyAttemptsError,
    UnknownRefreshTokenError,
)
from identity_service.domain.sessions.sessions import Device
from identity_service.metrics.work import database_metrics, housekeeping_metrics
from identity_service.security.password_hashing import HashingBusyError
from identity_service.status import status_of
from identity_service.storage.database_clock import DatabaseClock
from identity_service.storage.repositories import Repositories
from identity_service.storage.upgrades import schema
from identity_service.usecases.housekeeping import Housekeeping, expired_rows_chores
from identity_service.usecases.sign_up import SignUp
from service_kit.clock import utc_now
from service_kit.observability.metrics import Collected

NEWEST = schema.NEEDED
HERE = Device(name="test", address="127.0.0.1")


@dataclass
class Identity:
    services: Services
    registry: CollectorRegistry

    def value(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"identity_{name}", labels) or 0.0


@pytest.fixture
async def identity(database_url: str) -> AsyncIterator[Identity]:
    settings = identity_settings(
        database_url, IDENTITY_REFRESH_GRACE="0", IDENTITY_THROTTLE="on"
    )
    await give_signing_keys(settings)
    async with Services(settings) as services:
        alice = SignUp(username="alice", email="alice@example.test", password=PASSWORD)
        await services.sign_ups.sign_up(alice, HERE)
        yield Identity(services, registry_of(services))


async def test_password_checks_are_counted_by_verdict(identity: Identity) -> None:
    sign_in = identity.services.passwords.sign_in
    await sign_in("alice", PASSWORD, HERE)
    for name in ("alice", "nobody"):
        with pytest.raises(InvalidCredentialsError):
            await sign_in(name, "not the password", HERE)

    assert identity.value("password_checks_total", verdict="match") == 1
    assert identity.value("password_checks_total", verdict="mismatch") == 2
    assert identity.value("hash_seconds_count") == 4  # one made, three checked
    assert identity.value("hash_seconds_sum") > 0


async def test_refresh_tokens_are_counted_by_what_became_of_them(
    identity: Identity,
) -> None:
    _, pair = await identity.services.passwords.sign_in("alice", PASSWORD, HERE)
    refresh = identity.services.tokens.refreshes.refresh
    await refresh((pair.refresh_token,), HERE)
    with pytest.raises(RefreshTokenReusedError):
        await refresh((pair.refresh_token,), HERE)
    with pytest.raises(UnknownRefreshTokenError):
        await refresh(("made-up",), HERE)

    for outcome in ("continued", "reused", "unknown"):
        assert identity.value("refreshes_total", outcome=outcome) == 1, outcome


async def test_limits_that_attempts_meet_are_counted(identity: Identity) -> None:
    async def keep_trying() -> None:
        while True:
            with contextlib.suppress(InvalidCredentialsError):
                await identity.services.passwords.sign_in("alice", "wrong", HERE)

    with pytest.raises(TooManyAttemptsError):
        await keep_trying()

    limits = ("source", "known", "account", "tries", "newcomer", "newcomers")
    reached = {
        each: identity.value("throttle_limits_reached_total", limit=each)
        for each in limits
    }
    assert sum(reached.values()) >= 1, reached


async def test_a_throttle_that_counts_alone_shows(database_url: str) -> None:
    [closed] = free_ports(1)
    settings = identity_settings(
        database_url,
        IDENTITY_THROTTLE="on",
        IDENTITY_THROTTLE_URL=f"valkey://127.0.0.1:{closed}",
    )
    async with Services(settings) as services:
        counted = Identity(services, registry_of(services))
        assert counted.value("throttle_fallbacks_total") == 0
        with pytest.raises(InvalidCredentialsError):
            await services.passwords.sign_in("nobody", "not the password", HERE)
        assert counted.value("throttle_fallbacks_total") >= 1
        assert counted.value("throttle_store_away") == 1


async def test_a_full_queue_of_hashes_shows(identity: Identity) -> None:
    hasher = identity.services.hasher
    room = identity.value("hashes_waiting_limit")
    waiting = [
        asyncio.create_task(hasher.verify(PASSWORD, None, HERE))
        for _ in range(int(room) + 64)
    ]
    await asyncio.sleep(0)

    assert identity.value("hashes_waiting") == room
    assert identity.value("hashes_running") > 0
    results = await asyncio.gather(*waiting, return_exceptions=True)
    refused = [each for each in results if isinstance(each, HashingBusyError)]
    assert identity.value("hashes_refused_total") == len(refused) > 0


async def test_work_on_the_database_shows(identity: Identity) -> None:
    seen = []

    async def work(_: Repositories) -> None:
        seen.append(identity.value("database_connections"))
        seen.append(identity.value("database_work_in_progress"))

    await identity.services.database.read(work)

    assert seen == [1, 1]
    assert identity.value("database_connections") == 0
    assert identity.value("database_work_in_progress") == 0
    limit = identity.services.settings.database_pool_size
    assert identity.value("database_connections_limit") == limit


async def test_work_that_is_given_up_is_counted(identity: Identity) -> None:
    async def stuck(_: Repositories) -> None:
        await asyncio.sleep(60)

    with pytest.raises(DatabaseUnavailableError):
        await identity.services.database.read(stuck)

    assert identity.value("database_failures_total") == 1


@pytest.mark.parametrize("database_url", SERVERS, indirect=True)
async def test_work_that_a_deadlock_undid_is_counted(identity: Identity) -> None:
    database = identity.services.database
    bob = SignUp(username="bob", email="bob@example.test", password=PASSWORD)
    await identity.services.sign_ups.sign_up(bob, HERE)
    users = [
        await database.read(partial(_user_named, name)) for name in ("alice", "bob")
    ]
    both_have_one = asyncio.Barrier(2)

    async def lock(first: int, second: int, unit: Repositories) -> None:
        await unit.users.lock(first)
        with contextlib.suppress(asyncio.BrokenBarrierError):
            await both_have_one.wait()
        await both_have_one.abort()  # whoever tries again waits for nobody
        await unit.users.lock(second)

    alice, bob_id = users
    await asyncio.gather(
        database.write(partial(lock, alice, bob_id)),
        database.write(partial(lock, bob_id, alice)),
    )

    assert identity.value("database_work_undone_total") == 1
    assert identity.value("database_failures_total") == 0


async def _user_named(name: str, unit: Repositories) -> int:
    user = await unit.users.get_by_username_key(name)
    assert user is not None
    return user.id


@pytest.mark.parametrize("database_url", SERVERS, indirect=True)
async def test_a_clock_that_is_wrong_shows(identity: Identity) -> None:
    ahead = timedelta(minutes=5)
    clock = DatabaseClock(identity.services.engine, own=lambda: utc_now() + ahead)
    await clock.measure()
    registry = CollectorRegistry()
    database = identity.services.database
    registry.register(Collected(lambda: database_metrics(database, clock, 1)))

    shown = Identity(identity.services, registry).value("clock_ahead_seconds")
    assert abs(shown - ahead.total_seconds()) < 2


async def test_rows_that_there_is_no_time_to_remove_show(identity: Identity) -> None:
    services = identity.services
    await services.passwords.sign_in("alice", PASSWORD, HERE)
    year = timedelta(days=365)
    chores = expired_rows_chores(services.database, lambda: utc_now() + year)
    busy = Housekeeping(chores, monotonic=count(step=100).__next__)
    idle = Housekeeping(chores)

    backlogs = []
    for housekeeping in (busy, idle):
        await housekeeping.once()
        registry = CollectorRegistry()
        registry.register(Collected(partial(housekeeping_metrics, housekeeping)))
        shown = Identity(services, registry)
        backlogs.append(shown.value("housekeeping_backlog_seconds", chore="sessions"))
    assert backlogs[0] > timedelta(days=200).total_seconds()
    assert backlogs[1] == 0


async def test_looks_at_leaked_passwords_are_counted(database_url: str) -> None:
    [closed] = free_ports(1)
    mirror = f"http://127.0.0.1:{closed}/range"
    settings = identity_settings(database_url, IDENTITY_BREACHED_PASSWORDS_URL=mirror)
    async with Services(settings) as services:
        looks = partial(
            Identity(services, registry_of(services)).value,
            "breached_password_lookups_total",
        )
        assert looks(outcome="unavailable") == 0
        alice = SignUp(username="alice", email="alice@example.test", password=PASSWORD)
        await services.sign_ups.sign_up(alice, HERE)

    assert looks(outcome="unavailable") == 1
    assert looks(outcome="breached") == 0


async def test_whoever_waits_for_a_change_is_counted(identity: Identity) -> None:
    waiters = identity.services.waiters
    with waiters.admitted(HERE):
        assert identity.value("waiting_verifiers") == 1

    assert identity.value("waiting_verifiers") == 0
    assert identity.value("waiting_verifiers_limit") > 0


async def test_the_age_of_a_chore_and_the_end_of_a_list_show(
    identity: Identity,
) -> None:
    services = identity.services
    await services.passwords.sign_in("alice", PASSWORD, HERE)
    (uri,) = await services.tokens.status_lists.uris()
    await services.tokens.status_lists.get(uri.rpartition("/")[2])

    left = identity.value("status_list_expiry_seconds")
    assert 0 < left <= services.settings.access_token_lifetime.total_seconds()
    assert identity.value("housekeeping_age_seconds", chore="sessions") > 0


async def test_status_tells_the_state_and_no_secret(identity: Identity) -> None:
    services = identity.services
    await services.tokens.keys.refresh()

    status = await status_of(services)

    assert status["schema"] == {"needed": NEWEST, "present": NEWEST}
    assert isinstance(status["signing_keys"], dict)
    assert len(status["signing_keys"]["kids"]) == 2
    assert isinstance(status["database"], dict)
    assert status["database"]["connections_limit"] == 10
    settings = services.settings
    for secret in (settings.database_url, settings.throttle_url):
        assert secret not in repr(status)


async def test_status_says_why_the_database_does_not_answer() -> None:
    async with Services(
        identity_settings("mysql+asyncmy://x:hidden@127.0.0.1:1/x")
    ) as absent:
        status = await status_of(absent)

    assert isinstance(status["schema"], dict)
    assert status["schema"]["present"] is None
    assert "hidden" not in repr(status)
