"""Identity judges by the database's time."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.support.database import SERVERS

from identity_service.domain.errors import DatabaseUnavailableError
from identity_service.storage.database_clock import DatabaseClock
from identity_service.storage.engines import opened_engine
from service_kit.cancelling import cancelled

NEARLY: Final = timedelta(seconds=2)
AWAY: Final = "mysql+asyncmy://nobody@127.0.0.1:1/nothing"


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    async with opened_engine(database_url, pool_size=1) as engine:
        yield engine


@pytest.mark.parametrize("ahead", [timedelta(minutes=5), timedelta(minutes=-5)])
async def test_time_is_the_databases_where_it_has_one(
    engine: AsyncEngine, ahead: timedelta
) -> None:
    clock = DatabaseClock(engine, own=lambda: datetime.now(UTC) + ahead)
    await clock.measure()

    assert await clock.fault() is None
    if engine.dialect.name == "sqlite":
        assert abs(clock() - datetime.now(UTC) - ahead) < NEARLY
        assert await clock.warning() is None
    else:
        assert abs(clock() - datetime.now(UTC)) < NEARLY
        where = "300 s ahead of" if ahead > timedelta() else "300 s behind"
        assert await clock.warning() == f"this host's clock is {where} the database's"


async def test_time_goes_on_however_the_own_clock_jumps(engine: AsyncEngine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("it has no time of its own")
    jump, elapsed = timedelta(), 0.0
    clock = DatabaseClock(
        engine,
        own=lambda: datetime.now(UTC) + jump,
        monotonic=lambda: time.monotonic() + elapsed,
    )
    await clock.measure()
    before = clock()
    jump, elapsed = timedelta(hours=-1), 60.0
    assert timedelta(seconds=60) <= clock() - before < timedelta(seconds=60) + NEARLY


@pytest.mark.parametrize("database_url", SERVERS, indirect=True)
async def test_the_time_is_asked_for_at_once_after_the_machine_slept(
    engine: AsyncEngine,
) -> None:
    slept, asked = timedelta(), asyncio.Event()
    clock = DatabaseClock(engine, own=lambda: datetime.now(UTC) + slept)
    running = asyncio.create_task(clock.run())
    await clock.until_known()
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *_: asked.set())

    slept = timedelta(hours=1)

    async with asyncio.timeout(10):
        await asked.wait()
    await cancelled(running)


async def test_replica_that_has_not_learnt_the_time_is_not_ready() -> None:
    async with opened_engine(AWAY, pool_size=1) as engine:
        clock = DatabaseClock(engine)
        with pytest.raises(DatabaseUnavailableError):
            await clock.measure()
        assert await clock.fault() is not None
        assert abs(clock() - datetime.now(UTC)) < NEARLY
