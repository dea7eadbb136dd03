import asyncio
from datetime import timedelta
from typing import Final

import pytest
from tests.identity.signing_keys.processes import SCHEDULE, ready_made_key, sealer
from tests.identity.status_lists.conftest import FlakyDatabase
from tests.support.manual_clock import ManualClock

from identity_service.domain.errors import (
    DatabaseUnavailableError,
    StatusListNotFoundError,
)
from identity_service.domain.sessions.status_entries import (
    LIST_SIZE,
    StatusEntry,
    list_bytes,
    list_uri,
)
from identity_service.usecases.keys.rotation import KeyRotation
from identity_service.usecases.keys.signing_keys import SigningKeys
from identity_service.usecases.sessions.status_entries import StatusEntries
from identity_service.usecases.status_lists import PublishedList, StatusLists
from service_kit.tokens import (
    Status,
    StatusList,
    VerifiedStatusList,
    base64url,
    verify_status_list,
)

ISSUER: Final = "https://id.example"
LIFETIME: Final = timedelta(minutes=15)
SECOND: Final = timedelta(seconds=1)


class Publisher:
    """One process of identity, as far as its status lists go."""

    def __init__(self, database: FlakyDatabase, clock: ManualClock) -> None:
        self.database = database
        self.clock = clock
        self.keys = SigningKeys(
            database, sealer(), SCHEDULE, clock, monotonic=clock.monotonic
        )
        self.rotation = KeyRotation(
            database,
            self.keys,
            sealer=sealer(),
            schedule=SCHEDULE,
            clock=clock,
            generate=ready_made_key,
        )
        self.indexes = StatusEntries(database, clock)
        self.lists = StatusLists(
            database,
            self.keys,
            clock,
            issuer=ISSUER,
            lifetime=LIFETIME,
            ttl=timedelta(seconds=15),
            monotonic=clock.monotonic,
        )

    async def issue(self) -> StatusEntry:
        return await self.indexes.allocate()

    async def revoke(self, entry: StatusEntry) -> None:
        until = self.clock() + LIFETIME
        await self.database.write(
            lambda unit: unit.status_lists.revoke([(entry, until)])
        )

    async def verified(self, name: str) -> VerifiedStatusList:
        published = await self.lists.get(name)
        return await verify_status_list(
            published.body.decode(),
            self.keys,
            uri=list_uri(ISSUER, name),
            clock=self.clock,
        )


@pytest.fixture
async def publisher(database: FlakyDatabase, still_clock: ManualClock) -> Publisher:
    publisher = Publisher(database, still_clock)
    await publisher.rotation.advance()
    await publisher.rotation.advance()
    return publisher


@pytest.mark.parametrize("revoked", [set(), {0}, {7, 8, 131071}, set(range(999))])
def test_s1_bytes_are_those_of_the_draft(revoked: set[int]) -> None:
    statuses = StatusList(list_bytes(revoked))

    assert len(statuses) == LIST_SIZE
    assert {i for i in range(LIST_SIZE) if statuses[i] == Status.INVALID} == revoked


async def test_s5_list_has_its_full_size_from_the_first_token_on(
    publisher: Publisher,
) -> None:
    name, idx = await publisher.issue()
    verified = await publisher.verified(name)

    assert len(verified.statuses) == LIST_SIZE
    assert verified.statuses[idx] == Status.VALID
    assert verified.ttl == timedelta(seconds=15)
    assert verified.expires_at == verified.issued_at + LIFETIME


async def test_s6_revocation_is_in_the_list_a_second_later(
    publisher: Publisher,
) -> None:
    entry, kept = await publisher.issue(), await publisher.issue()
    await publisher.verified(entry.list_name)

    await publisher.revoke(entry)
    publisher.clock.advance(SECOND)

    verified = await publisher.verified(entry.list_name)
    assert verified.statuses[entry.idx] == Status.INVALID
    assert verified.statuses[kept.idx] == Status.VALID


async def test_list_is_read_at_most_once_a_second_however_many_ask(
    publisher: Publisher,
) -> None:
    name, _ = await publisher.issue()
    before = publisher.database.reads
    served = await asyncio.gather(*(publisher.lists.get(name) for _ in range(50)))
    assert publisher.database.reads - before == 2  # the ids, and the list
    assert len({each.body for each in served}) == 1

    await asyncio.gather(*(publisher.lists.get(name) for _ in range(50)))
    assert publisher.database.reads - before == 2


async def test_unchanged_list_is_signed_again_only_when_it_has_aged(
    publisher: Publisher,
) -> None:
    name, _ = await publisher.issue()
    first = await publisher.lists.get(name)
    publisher.clock.advance(LIFETIME / 10 - SECOND)
    assert (await publisher.lists.get(name)) is first
    publisher.clock.advance(SECOND)
    assert (await publisher.lists.get(name)).expires_at > first.expires_at


async def test_s6_list_is_served_from_memory_until_it_expires(
    publisher: Publisher,
) -> None:
    name, idx = await publisher.issue()
    first = await publisher.lists.get(name)
    publisher.database.is_away = True

    publisher.clock.advance(LIFETIME - SECOND)
    assert (await publisher.lists.get(name)) is first
    publisher.clock.advance(SECOND)
    with pytest.raises(DatabaseUnavailableError):
        await publisher.lists.get(name)

    publisher.database.is_away = False
    publisher.clock.advance(SECOND)
    assert (await publisher.verified(name)).statuses[idx] == Status.VALID


async def test_database_that_is_away_is_asked_once_a_second(
    publisher: Publisher,
) -> None:
    name, _ = await publisher.issue()
    await publisher.lists.get(name)
    publisher.database.is_away = True
    publisher.clock.advance(SECOND)
    before = publisher.database.reads
    for _ in range(20):
        await publisher.lists.get(name)
    assert publisher.database.reads - before == 2


async def test_list_is_signed_again_when_its_key_was_withdrawn(
    publisher: Publisher,
) -> None:
    name, _ = await publisher.issue()
    await publisher.verified(name)
    await publisher.rotation.withdraw()
    publisher.clock.advance(SECOND)

    assert (await publisher.verified(name)).issued_at == publisher.clock()


async def test_s7_list_is_no_access_token(publisher: Publisher) -> None:
    name, _ = await publisher.issue()
    header = (await publisher.lists.get(name)).body.partition(b".")[0].decode()
    assert b'"typ":"statuslist+jwt"' in base64url.decode(header)


async def test_list_of_another_process_is_found_at_once(
    publisher: Publisher, other_database: FlakyDatabase
) -> None:
    other = Publisher(other_database, publisher.clock)
    assert await publisher.lists.uris() == []

    name, _ = await other.issue()

    assert isinstance(await publisher.lists.get(name), PublishedList)
    assert await publisher.lists.uris() == [list_uri(ISSUER, name)]


@pytest.mark.parametrize("name", ["1", "2", "z_FWD-TbOT4Us8Dcvgoz0A"])
async def test_there_is_no_other_list(publisher: Publisher, name: str) -> None:
    await publisher.issue()
    with pytest.raises(StatusListNotFoundError):
        await publisher.lists.get(name)
