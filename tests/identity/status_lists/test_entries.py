import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest
from sqlalchemy import event, select, update
from sqlalchemy.util import await_only
from tests.identity.status_lists.conftest import FlakyDatabase
from tests.support.database import connected
from tests.support.manual_clock import ManualClock

from identity_service.domain.errors import DatabaseUnavailableError
from identity_service.domain.sessions.authentication import Authentication, Method
from identity_service.domain.sessions.sessions import Session
from identity_service.domain.sessions.status_entries import (
    CLOSING_TIME,
    LEASE_LIFETIME,
    LEASE_SIZE,
    LIST_SIZE,
    StatusEntry,
    list_name_of,
    list_uri,
    new_list_name,
    permuted,
)
from identity_service.storage.database import Database
from identity_service.storage.engines import opened_engine
from identity_service.storage.tables import revoked_entries, status_lists
from identity_service.usecases.housekeeping import Housekeeping, expired_rows_chores
from identity_service.usecases.sessions.status_entries import StatusEntries
from service_kit.clock import utc_now

KEY = bytes(range(32))
SECOND = timedelta(seconds=1)


def test_s5_every_position_of_a_list_has_an_entry_of_its_own() -> None:
    assert {permuted(position, KEY) for position in range(LIST_SIZE)} == set(
        range(LIST_SIZE)
    )


def test_s5_entries_tell_neither_order_nor_neighbourhood() -> None:
    entries = [permuted(position, KEY) for position in range(1000)]
    steps = [abs(b - a) for a, b in pairwise(entries)]

    assert sum(steps) / len(steps) > LIST_SIZE / 4  # a third, for random ones
    assert entries != [permuted(position, KEY[::-1]) for position in range(1000)]


@pytest.mark.parametrize("name", ["1", "999999999", "z_FWD-TbOT4Us8Dcvgoz0A"])
def test_name_of_a_list_is_read_back_from_its_uri(name: str) -> None:
    assert list_name_of("https://id", list_uri("https://id", name)) == name


def test_names_of_lists_are_random() -> None:
    assert len({new_list_name() for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "1",
        "https://id/api/auth/statuslists/",
        "https://id/api/auth/statuslists/01",
        "https://id/api/auth/statuslists/-1",
        "https://id/api/auth/statuslists/1/",
        "https://id/api/auth/statuslists/\u0661",
        f"https://id/api/auth/statuslists/{'a' * 21}",
        f"https://id/api/auth/statuslists/{'a' * 23}",
        "https://evil/api/auth/statuslists/1",
    ],
)
def test_no_other_uri_names_a_list(uri: str) -> None:
    assert list_name_of("https://id", uri) is None


async def test_s5_two_hundred_at_once_get_distinct_entries(
    database: FlakyDatabase, other_database: FlakyDatabase, still_clock: ManualClock
) -> None:
    one = StatusEntries(database, still_clock)
    other = StatusEntries(other_database, still_clock)

    places = await asyncio.gather(
        *(indexes.allocate() for _ in range(400) for indexes in (one, other))
    )

    assert len(set(places)) == 800
    assert one.leases_taken == other.leases_taken == -(-400 // LEASE_SIZE)


async def test_s5_process_that_dies_takes_its_lease_with_it(
    database: FlakyDatabase, still_clock: ManualClock
) -> None:
    before = [await StatusEntries(database, still_clock).allocate() for _ in range(20)]
    assert len(set(before)) == 20


async def test_s5_full_list_is_followed_by_another_even_in_a_race(
    database: FlakyDatabase,
    other_database: FlakyDatabase,
    still_clock: ManualClock,
    database_url: str,
) -> None:
    first = StatusEntries(database, still_clock)
    await first.allocate()
    async with connected(database_url) as engine, engine.begin() as connection:
        await connection.execute(update(status_lists).values(leased=LIST_SIZE))

    places = await asyncio.gather(
        *(
            StatusEntries(each, still_clock).allocate()
            for _ in range(4)
            for each in (database, other_database)
        )
    )

    assert len(set(places)) == 8
    names = {place.list_name for place in places}
    assert len(names) == 1
    # The lease of the first list still holds.
    assert (await first.allocate()).list_name not in names


async def test_s5_next_list_is_begun_once_by_who_comes_in_between(
    other_database: FlakyDatabase, still_clock: ManualClock, database_url: str
) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("has one writer at a time")
    other = StatusEntries(other_database, still_clock)
    await other.allocate()
    async with opened_engine(database_url, pool_size=1) as engine:
        async with engine.begin() as connection:
            await connection.execute(update(status_lists).values(leased=LIST_SIZE))

        @event.listens_for(engine.sync_engine, "after_cursor_execute")
        def come_in_between(*executed: object) -> None:
            if str(executed[2]).startswith("UPDATE status_lists") and not other.left():
                await_only(other.allocate())

        still_clock.advance(LEASE_LIFETIME)
        one = StatusEntries(Database(engine, utc_now), still_clock)
        places = [await one.allocate(), await other.allocate()]

    assert len({place.list_name for place in places}) == 1
    assert len(set(places)) == 2


async def test_s5_lease_is_not_used_beyond_its_life(
    database: FlakyDatabase, still_clock: ManualClock
) -> None:
    indexes = StatusEntries(database, still_clock)
    await indexes.allocate()
    still_clock.advance(LEASE_LIFETIME)
    assert indexes.left() == 0
    await indexes.allocate()
    assert indexes.leases_taken == 2


async def test_lease_lasts_while_the_database_is_away(
    database: FlakyDatabase, still_clock: ManualClock
) -> None:
    indexes = StatusEntries(database, still_clock)
    await indexes.allocate()
    database.is_away = True
    for _ in range(LEASE_SIZE - 1):
        await indexes.allocate()
    with pytest.raises(DatabaseUnavailableError):
        await indexes.allocate()

    database.is_away = False
    assert await indexes.allocate()


async def hold(database: FlakyDatabase, entry: StatusEntry, clock: ManualClock) -> None:
    """Have a revoked entry in the list."""
    until = clock() + timedelta(minutes=15)
    await database.write(lambda unit: unit.status_lists.revoke([(entry, until)]))


async def stored(url: str) -> tuple[int, int]:
    """Return the number of lists and of revoked entries."""
    async with connected(url) as engine, engine.connect() as connection:
        lists = await connection.scalars(select(status_lists.c.id))
        entries = await connection.scalars(select(revoked_entries.c.idx))
        return len(lists.all()), len(entries.all())


async def fill_lists(url: str) -> None:
    async with connected(url) as engine, engine.begin() as connection:
        await connection.execute(update(status_lists).values(leased=LIST_SIZE))


async def housekeep(database: FlakyDatabase, clock: ManualClock) -> None:
    await Housekeeping(expired_rows_chores(database, clock)).once()


async def test_entries_are_forgotten_when_expired_and_then_the_lists_they_leave(
    database: FlakyDatabase, still_clock: ManualClock, database_url: str
) -> None:
    entries = StatusEntries(database, still_clock)
    for _ in range(5):
        await hold(database, await entries.allocate(), still_clock)
    await fill_lists(database_url)
    await StatusEntries(database, still_clock).allocate()

    still_clock.advance(timedelta(minutes=20))
    await housekeep(database, still_clock)
    assert await stored(database_url) == (2, 5)  # some verifier's clock may be slow
    still_clock.advance(SECOND)
    await housekeep(database, still_clock)
    assert await stored(database_url) == (2, 0)

    still_clock.advance(CLOSING_TIME)
    await housekeep(database, still_clock)
    assert await stored(database_url) == (1, 0)


async def test_list_is_kept_while_a_lease_or_an_entry_of_it_may_live(
    database: FlakyDatabase, still_clock: ManualClock, database_url: str
) -> None:
    entries = StatusEntries(database, still_clock)
    entry = await entries.allocate()
    await fill_lists(database_url)
    await StatusEntries(database, still_clock).allocate()

    still_clock.advance(CLOSING_TIME)
    await hold(database, entry, still_clock)
    await housekeep(database, still_clock)
    assert await stored(database_url) == (2, 1)


async def test_list_is_kept_while_a_session_has_an_entry_of_it(
    database: FlakyDatabase, still_clock: ManualClock, database_url: str
) -> None:
    entry = await StatusEntries(database, still_clock).allocate()
    await fill_lists(database_url)
    await StatusEntries(database, still_clock).allocate()
    still_clock.advance(CLOSING_TIME + SECOND)
    now = still_clock()
    session = Session(
        id="0" * 32,
        user_id=1,
        client_id="first-party",
        generation=1,
        device="",
        address="",
        created_at=now,
        rotated_at=now,
        idle_expires_at=now + timedelta(days=1),
        expires_at=now + timedelta(days=1),
        ended_at=None,
        entry=entry,
        token_expires_at=now,
        authentication=Authentication(now, frozenset({Method.PASSWORD})),
    )
    await database.write(lambda unit: unit.sessions.add(session))

    await housekeep(database, still_clock)
    assert await stored(database_url) == (2, 0)
    still_clock.advance(timedelta(days=8) + SECOND)
    await housekeep(database, still_clock)
    assert await stored(database_url) == (1, 0)
