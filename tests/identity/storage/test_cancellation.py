"""Work on the database ends when it is cancelled, whatever the driver is doing."""

import asyncio

import pytest
from aiohttp import web
from sqlalchemy import event
from tests.support.database import connected
from tests.support.identity import identity_settings

from identity_service.app import create_app
from identity_service.composition import Services
from identity_service.domain.errors import DatabaseUnavailableError
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from service_kit.clock import utc_now


async def _query_and_wait(unit: Repositories) -> None:
    await unit.signing_keys.all()
    await asyncio.Event().wait()


# A connection of SQLite's that is cancelled while it opens is left to be collected,
# which Python says from 3.13 on.
@pytest.mark.filterwarnings(
    "ignore:Exception ignored while finalizing database connection <sqlite3"
    ":pytest.PytestUnraisableExceptionWarning"
)
async def test_no_time_out_is_lost(database_url: str) -> None:
    """Each comes a little later: while it connects, signs in, queries or reads."""
    async with connected(database_url) as engine:
        database = Database(engine, utc_now)
        for step in range(200):
            with pytest.raises(TimeoutError):  # not of the database, if it was lost
                async with asyncio.timeout(step * 4e-5):
                    await database.read(_query_and_wait)


async def test_services_that_stop_end_the_work_that_goes_on(database_url: str) -> None:
    """Nobody waits for it any more: a client asked for what clients share, and left."""
    opened, closed, is_open = [], [], asyncio.Event()

    def note_opened(connection: object, _: object) -> None:
        opened.append(connection)
        is_open.set()

    async with Services(identity_settings(database_url)) as services:
        engine = services.engine.sync_engine
        event.listen(engine, "connect", note_opened)
        event.listen(engine, "close", lambda connection, _: closed.append(connection))
        asked = asyncio.create_task(services.tokens.status_lists.uris())
        await is_open.wait()
        asked.cancel()

    assert services.database.in_progress == 0
    assert closed == opened


async def test_no_work_begins_after_the_end(database_url: str) -> None:
    async with Services(identity_settings(database_url)) as services:
        pass
    with pytest.raises(DatabaseUnavailableError, match="closed"):
        await services.tokens.status_lists.uris()


async def test_all_work_is_cancelled_together_at_the_end(database_url: str) -> None:
    begun, ending = asyncio.Barrier(3), asyncio.Barrier(2)
    ended = []

    async def work(unit: Repositories) -> None:
        await unit.signing_keys.all()
        try:
            await begun.wait()
            await asyncio.Event().wait()
        finally:
            await ending.wait()
            ended.append(True)

    async with connected(database_url) as engine:
        database = Database(engine, utc_now)
        tasks = [asyncio.create_task(database.read(work)) for _ in range(2)]
        await begun.wait()
        await database.close()
    assert [task.cancelled() for task in tasks] == ended == [True, True]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_stop_that_is_cut_short_ends_what_runs_beside(
    database_url: str,
) -> None:
    runner = web.AppRunner(create_app(identity_settings(database_url)))
    before = asyncio.all_tasks()
    await runner.setup()
    background = asyncio.all_tasks() - before
    assert len(background) > 1

    stopping = asyncio.create_task(runner.cleanup())
    while not any(task.cancelling() for task in background):  # noqa: ASYNC110 - steps of the loop
        await asyncio.sleep(0)
    stopping.cancel()
    await asyncio.wait((stopping,))

    _, running = await asyncio.wait(background, timeout=2)
    assert not running
