"""What is read again at most once a second."""

import asyncio

import pytest

from identity_service.domain.errors import DatabaseUnavailableError
from identity_service.usecases.caching.cached_value import CachedValue
from identity_service.usecases.status_lists import _List


class Source:
    """Counts up each time it is read, unless it is away."""

    def __init__(self) -> None:
        self.reads = 0
        self.is_away = False
        self.failed = asyncio.Event()

    async def read(self, _: object) -> int:
        self.reads += 1
        if self.is_away:
            self.failed.set()
            raise DatabaseUnavailableError("away")
        return self.reads


async def test_value_stands_while_the_database_is_away() -> None:
    source, now = Source(), 0.0
    cached = CachedValue(source.read, lambda: now)
    assert await cached.get() == 1
    source.is_away, now = True, 5.0

    assert [await cached.get(), await cached.get()] == [1, 1]
    assert source.reads == 2, "once a second, not at each request"
    with pytest.raises(DatabaseUnavailableError):
        await cached.renewed()
    source.is_away, now = False, 7.0
    assert await cached.get() == 4


async def test_short_max_age_asks_no_more_of_a_database_that_is_away() -> None:
    source, now = Source(), 0.0
    cached = CachedValue(source.read, lambda: now, max_age=0.2)
    assert await cached.get() == 1
    source.is_away, now = True, 0.2

    assert await cached.get() == 1
    now = 1.1
    assert await cached.get() == 1
    assert source.reads == 2, "once a second, not five times"
    source.is_away, now = False, 1.3
    assert await cached.get() == 3
    now = 1.6
    assert await cached.get() == 4


async def test_revocation_is_looked_at_again_after_a_read_that_failed() -> None:
    source, revision = Source(), 0

    async def present() -> int:
        return revision

    watched = _List(CachedValue(source.read), present)  # type: ignore[arg-type]
    async with asyncio.timeout(10):
        await watched.watch.other_than(None)
        waiter = asyncio.create_task(watched.watch.other_than(watched.cached.value))
        source.is_away, revision = True, 1
        await source.failed.wait()
        source.is_away = False

        await waiter

    await watched.watch.stop()
