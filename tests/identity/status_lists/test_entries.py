import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update
from tests.identity.status_lists.conftest import FlakyDatabase
from tests.support.database import connected
from tests.support.manual_clock import ManualClock

from identity_service.domain.errors import DatabaseUnavailableError
from identity_service.domain.status_entries import (
    CLOSING_TIME,
    LEASE_LIFETIME,
    LEASE_SIZE,
    LIST_SIZE,
    list_id_of,
    list_uri,
    permuted,
)
from identity_service.storage.tables import access_tokens, status_lists
from identity_service.usecases.status_entries import ExpiredTokens, StatusEntries

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


@given(st.integers(1, 10**9 - 1))
def test_list_id_is_read_back_from_its_uri(list_id: int) -> None:
    assert list_id_of("https://id", list_uri("https://id", list_id)) == list_id


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
        "https://evil/api/auth/statuslists/1",
    ],
)
def test_no_other_uri_names_a_list(uri: str) -> None:
    assert list_id_of("https://id", uri) is None


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
    assert {list_id for list_id, _ in places} == {2}
    assert (await first.allocate())[0] == 1  # its lease of the first list still holds


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


async def issue(
    database: FlakyDatabase,
    place: tuple[int, int],
    clock: ManualClock,
    lifetime: timedelta = timedelta(minutes=15),
) -> None:
    await database.write(
        lambda unit: unit.access_tokens.add(
            list_id=place[0],
            idx=place[1],
            user_id=1,
            session_id="0" * 32,
            expires_at=clock() + lifetime,
        )
    )


async def stored(url: str) -> tuple[list[int], int]:
    """Return the ids of the lists and the number of tokens."""
    async with connected(url) as engine, engine.connect() as connection:
        ids = await connection.scalars(select(status_lists.c.id))
        tokens = await connection.scalars(select(access_tokens.c.idx))
        return sorted(ids), len(tokens.all())


async def test_expired_tokens_are_forgotten_and_then_the_lists_they_leave(
    database: FlakyDatabase, still_clock: ManualClock, database_url: str
) -> None:
    indexes = StatusEntries(database, still_clock)
    expired = ExpiredTokens(database, still_clock)
    for _ in range(5):
        await issue(database, await indexes.allocate(), still_clock)
    async with connected(database_url) as engine, engine.begin() as connection:
        await connection.execute(update(status_lists).values(leased=LIST_SIZE))
    await StatusEntries(database, still_clock).allocate()

    still_clock.advance(timedelta(minutes=15))
    assert await expired.prune() == 0  # some verifier's clock may be slow
    still_clock.advance(timedelta(minutes=5) + SECOND)
    assert await expired.prune() == 5
    assert await stored(database_url) == ([1, 2], 0)

    still_clock.advance(CLOSING_TIME)
    await expired.prune()
    assert await stored(database_url) == ([2], 0)
    assert (await StatusEntries(database, still_clock).allocate())[0] == 2


async def test_list_is_kept_while_a_lease_or_a_token_of_it_may_live(
    database: FlakyDatabase, still_clock: ManualClock, database_url: str
) -> None:
    indexes = StatusEntries(database, still_clock)
    place = await indexes.allocate()
    async with connected(database_url) as engine, engine.begin() as connection:
        await connection.execute(update(status_lists).values(leased=LIST_SIZE))
    await StatusEntries(database, still_clock).allocate()

    still_clock.advance(LEASE_LIFETIME - SECOND)
    await issue(database, place, still_clock)
    await issue(database, await indexes.allocate(), still_clock)
    await ExpiredTokens(database, still_clock).prune()
    assert await stored(database_url) == ([1, 2], 2)


async def test_list_is_kept_while_a_long_lived_token_of_it_lives(
    database: FlakyDatabase, still_clock: ManualClock, database_url: str
) -> None:
    place = await StatusEntries(database, still_clock).allocate()
    await issue(database, place, still_clock, lifetime=timedelta(days=1))
    async with connected(database_url) as engine, engine.begin() as connection:
        await connection.execute(update(status_lists).values(leased=LIST_SIZE))
    await StatusEntries(database, still_clock).allocate()

    still_clock.advance(CLOSING_TIME + SECOND)
    await ExpiredTokens(database, still_clock).prune()
    assert await stored(database_url) == ([1, 2], 1)
