import contextlib
from collections.abc import AsyncIterator
from typing import TypeVar

import pytest
from tests.support.manual_clock import ManualClock

from identity_service.domain.errors import DatabaseUnavailableError
from identity_service.storage.database import Database, Work
from identity_service.storage.engines import create_engine
from service_kit.clock import utc_now

T = TypeVar("T")


class FlakyDatabase(Database):
    """A database that can be told to be away, and that counts what it is asked."""

    is_away = False
    reads = 0

    async def read(self, work: Work[T]) -> T:
        self.reads += 1
        self._refuse_if_away()
        return await super().read(work)

    async def write(self, work: Work[T]) -> T:
        self._refuse_if_away()
        return await super().write(work)

    def _refuse_if_away(self) -> None:
        if self.is_away:
            raise DatabaseUnavailableError("told to be away")


@pytest.fixture
def still_clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[FlakyDatabase]:
    async with opened(database_url) as flaky:
        yield flaky


@pytest.fixture
async def other_database(database_url: str) -> AsyncIterator[FlakyDatabase]:
    async with opened(database_url) as flaky:
        yield flaky


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[FlakyDatabase]:
    flaky = FlakyDatabase(create_engine(url, pool_size=4), utc_now)
    try:
        yield flaky
    finally:
        await flaky.close()
