import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Final

import pytest
from sqlalchemy import Delete, Update, delete, select, update
from tests.support.database import connected
from tests.support.manual_clock import ManualClock

from identity_service.domain.audit import (
    LONGEST_TEXT,
    Action,
    AuditEvent,
    AuditQuery,
)
from identity_service.storage.database import Database
from identity_service.storage.engines import opened_engine
from identity_service.storage.repositories import Repositories
from identity_service.storage.tables import audit_events, audit_head
from identity_service.usecases.audit import Audit

RETENTION: Final = timedelta(days=30)


@pytest.fixture
def still_clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def database(
    database_url: str, still_clock: ManualClock
) -> AsyncIterator[Database]:
    async with opened_engine(database_url, pool_size=8) as engine:
        yield Database(engine, still_clock)


@pytest.fixture
def audit(database: Database, still_clock: ManualClock) -> Audit:
    return Audit(database, still_clock, retention=RETENTION)


async def record(database: Database, count: int, **members: Any) -> None:  # noqa: ANN401
    for _ in range(count):
        await database.record(AuditEvent(action=Action.SIGNED_IN, **members))


async def tamper(url: str, *statements: Update | Delete) -> None:
    async with connected(url) as engine, engine.begin() as connection:
        for statement in statements:
            await connection.execute(statement)


async def test_unbroken_chain_verifies(database: Database, audit: Audit) -> None:
    assert (await audit.verify()).broken_at is None

    await record(database, 5, actor_id=1, details={"n": 1})
    verification = await audit.verify()

    assert (verification.records, verification.broken_at) == (5, None)
    assert verification.last_hash != "0" * 64


async def test_chain_does_not_fork_when_many_append_at_once(
    database: Database, audit: Audit, database_url: str, still_clock: ManualClock
) -> None:
    async with opened_engine(database_url, pool_size=8) as engine:
        other = Database(engine, still_clock)
        await asyncio.gather(*(record(each, 5) for each in (database, other) * 4))

    verification = await audit.verify()
    assert (verification.records, verification.broken_at) == (40, None)


EVENT = audit_events.c


@pytest.mark.parametrize(
    ("statement", "broken_at"),
    [
        pytest.param(
            update(audit_events).where(EVENT.id == 3).values({name: value}),
            3,
            id=f"changed {name}",
        )
        for name, value in {
            "action": "session.ended",
            "actor_id": 2,
            "subject_id": 2,
            "address": "192.0.2.9",
            "request_id": "other",
            "details": "{}",
        }.items()
    ]
    + [
        pytest.param(
            update(audit_events).where(EVENT.id == 3).values(at=ManualClock().now),
            3,
            id="changed moment",
        ),
        pytest.param(
            delete(audit_events).where(EVENT.id == 1), 2, id="removed the first"
        ),
        pytest.param(
            delete(audit_events).where(EVENT.id == 3), 4, id="removed from the middle"
        ),
        pytest.param(
            delete(audit_events).where(EVENT.id == 5), 5, id="removed the last"
        ),
        pytest.param(delete(audit_events), 5, id="removed all"),
        pytest.param(
            update(audit_events).where(EVENT.id == 5).values(id=9), 9, id="renumbered"
        ),
    ],
)
async def test_first_broken_link_is_found(
    database: Database,
    audit: Audit,
    database_url: str,
    still_clock: ManualClock,
    *,
    statement: Update | Delete,
    broken_at: int,
) -> None:
    still_clock.advance(timedelta(seconds=1))
    await record(
        database, 5, actor_id=1, subject_id=1, address="192.0.2.1", details={"n": 1}
    )
    await tamper(database_url, statement)

    assert (await audit.verify()).broken_at == broken_at


async def test_event_that_was_slipped_in_is_found(
    database: Database, audit: Audit, database_url: str
) -> None:
    await record(database, 3)
    last = (await audit.search(AuditQuery(limit=1)))[0]
    forged = {name: getattr(last, name) for name in type(last).__slots__}
    await tamper(
        database_url,
        audit_events.insert().values({**forged, "id": 4, "action": "x"}),  # type: ignore[arg-type]
    )
    assert (await audit.verify()).broken_at == 4


async def test_event_falls_with_the_transaction_it_records(
    audit: Audit, database_url: str, still_clock: ManualClock
) -> None:
    async with opened_engine(database_url, pool_size=1) as engine:
        database = Database(engine, still_clock)

        async def failing(unit: Repositories) -> None:
            unit.audit.append(AuditEvent(action=Action.SIGNED_IN))
            raise RuntimeError

        with pytest.raises(RuntimeError):
            await database.write(failing)

    assert (await audit.verify()).records == 0


async def test_retention_prunes_the_oldest_and_the_rest_still_verifies(
    database: Database, audit: Audit, still_clock: ManualClock, database_url: str
) -> None:
    await record(database, 3)
    still_clock.advance(RETENTION)
    await record(database, 2)
    assert await audit.prune() == 0
    still_clock.advance(timedelta(seconds=1))
    assert await audit.prune() == 3
    verification = await audit.verify()
    assert (verification.records, verification.broken_at) == (2, None)

    still_clock.advance(RETENTION)
    assert await audit.prune() == 2
    await record(database, 1)
    verification = await audit.verify()
    assert (verification.records, verification.broken_at) == (1, None)
    async with connected(database_url) as engine, engine.connect() as connection:
        assert await connection.scalar(select(audit_head.c.last_event_id)) == 6


async def test_event_from_the_future_goes_with_those_after_it(
    database: Database, audit: Audit, still_clock: ManualClock
) -> None:
    await record(database, 1)
    still_clock.advance(3 * RETENTION)
    await record(database, 1)
    still_clock.advance(-3 * RETENTION)
    await record(database, 1)
    still_clock.advance(RETENTION + timedelta(seconds=1))
    await record(database, 1)

    assert await audit.prune() == 3
    verification = await audit.verify()
    assert (verification.records, verification.broken_at) == (1, None)


async def test_empty_log_is_not_behind(audit: Audit) -> None:
    assert await audit.backlog() == timedelta()


async def test_pruning_does_a_bounded_part_of_the_work(
    database: Database, audit: Audit, still_clock: ManualClock, database_url: str
) -> None:
    await record(database, 3)
    async with connected(database_url) as engine, engine.begin() as connection:
        rows = await connection.execute(select(audit_events).where(EVENT.id == 3))
        row = rows.one()._asdict()
        await connection.execute(
            audit_events.insert(), [{**row, "id": number} for number in range(4, 603)]
        )
    still_clock.advance(RETENTION + timedelta(seconds=1))
    assert [await audit.prune() for _ in range(3)] == [500, 102, 0]


@pytest.mark.parametrize(
    "text",
    ["a\r\nb", "\x1b[2J", "\0", "\ud800", "\u202e", "x" * 5000, '"}', "\u2028"],
    ids=["CRLF", "ANSI", "NUL", "surrogate", "bidi", "long", "JSON", "separator"],
)
async def test_text_of_strangers_forges_nothing(
    database: Database, audit: Audit, text: str
) -> None:
    await record(database, 1, details={"username": text})

    stored = (await audit.search(AuditQuery(limit=1)))[0].details

    assert stored.isascii()
    assert stored.isprintable()
    assert len(stored) < 4000
    assert json.loads(stored) == {"username": text[:LONGEST_TEXT]}
    assert (await audit.verify()).broken_at is None
