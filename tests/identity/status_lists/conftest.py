import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TypeVar

import pytest
from tests.support.manual_clock import ManualClock

from identity_service.domain.errors import DatabaseUnavailableError
from identity_service.storage.database import SqlDatabase, create_engine
from identity_service.usecases.ports import Work

T = TypeVar("T")


@dataclass
class FlakyDatabase:
    """A database that can be told to be away, and that counts what it is asked."""

    real: SqlDatabase
    is_away: bool = False
    reads: int = field(default=0)

    async def read(self, work: Work[T]) -> T:
        self.reads += 1
        return await self._refusing().read(work)

    async def write(self, work: Work[T]) -> T:
        return await self._refusing().write(work)

    def _refusing(self) -> SqlDatabase:
        if self.is_away:
            raise DatabaseUnavailableError("told to be away")
        return self.real


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
    engine = create_engine(url, pool_size=4)
    try:
        yield FlakyDatabase(SqlDatabase(engine))
    finally:
        await engine.dispose()
