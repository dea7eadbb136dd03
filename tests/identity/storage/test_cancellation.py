"""Work on the database ends when it is cancelled, whatever the driver is doing."""

import asyncio
import time

import pytest
from tests.support.database import connected

from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from service_kit.clock import utc_now


async def _query_and_sleep(unit: Repositories) -> None:
    await unit.signing_keys.all()
    await asyncio.sleep(1)


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
            seconds = step * 4e-5
            began_at = time.monotonic()
            try:
                async with asyncio.timeout(seconds):
                    await database.read(_query_and_sleep)
            except TimeoutError:
                pass
            assert time.monotonic() - began_at < seconds + 0.9, step
