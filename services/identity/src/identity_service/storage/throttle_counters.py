"""Counters of the throttle: in Valkey for all replicas, in memory for one process.

What they hold may be lost: it only says who waits.
"""

import math
import time
from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from itertools import islice
from typing import Any, Final, TypeVar

from limits import RateLimitItemPerSecond
from limits.aio.storage import RedisStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter
from limits.errors import StorageError
from valkey.asyncio import BlockingConnectionPool, Valkey

from identity_service.domain.limits.throttling import Limit
from service_kit.counters import SharedStore
from service_kit.valkey_pools import is_store_url, open_pool, store_fault

T = TypeVar("T")

_Counts = OrderedDict[str, tuple[int, float]]
"""Each count, and when it restarts; the one touched last is last."""

MEMORY_URL: Final = "memory://"

MAX_COUNTS: Final = 100_000
"""Counts kept in memory, about 40 MB."""

_LOOKED_AT: Final = 16
"""Counts of which the least is dropped where there are too many: a guesser who makes
many by the way would have those forgotten that keep them from guessing."""

STORE_TIMEOUT: Final = 0.5
"""Seconds for all that one question asks of Valkey."""

COMMAND_TIMEOUT: Final = 0.25
"""Seconds for one command, and for one connection."""

MAX_CONNECTIONS: Final = 16

TAKE_AWAY: Final = """
local count = tonumber(redis.call('get', KEYS[1]) or '0')
local taken = math.min(count, tonumber(ARGV[1]))
if taken > 0 then redis.call('decrby', KEYS[1], taken) end
return count - taken
"""
"""In one step, so that an expired count is not recreated without an expiry."""


class MemoryCounts(Storage):
    """A bounded store of counts for `limits`, whose own never stops growing.

    Where there are too many, the kind with the most of them loses one: sign-ups and
    requests for mail, which cost no hash, push out no failures of accounts.
    """

    STORAGE_SCHEME = None

    def __init__(
        self, now: Callable[[], float] = time.monotonic, *, max_counts: int = MAX_COUNTS
    ) -> None:
        super().__init__()
        self._now = now
        self._max_counts = max_counts
        self._kinds: defaultdict[str, _Counts] = defaultdict(OrderedDict)
        self._size = 0

    @property
    def base_exceptions(self) -> type[Exception]:
        """Return what may go wrong: nothing."""
        return StorageError

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Add to a count, which restarts after ``expiry`` seconds.

        A negative amount takes away at most what there is.
        """
        count, expires_at = self._live(key) or (0, self._now() + expiry)
        self._drop(key)
        count = max(0, count + amount)
        if count:
            self._kinds[_kind(key)][key] = (count, expires_at)
            self._size += 1
        if self._size > self._max_counts:
            self._drop(self._least())
        return count

    async def get(self, key: str) -> int:
        """Return a count."""
        count, _ = self._live(key) or (0, 0.0)
        return count

    async def get_expiry(self, key: str) -> float:
        """Return when a count restarts."""
        _, expires_at = self._live(key) or (0, self._now())
        return expires_at

    async def clear(self, key: str) -> None:
        """Forget a count."""
        self._drop(key)

    async def reset(self) -> int:
        """Forget all counts."""
        forgotten = self._size
        self._kinds.clear()
        self._size = 0
        return forgotten

    async def check(self) -> bool:
        """Return whether it works: it does."""
        return True

    def _live(self, key: str) -> tuple[int, float] | None:
        found = self._kinds[_kind(key)].get(key)
        return found if found and found[1] > self._now() else None

    def _drop(self, key: str) -> None:
        if self._kinds[_kind(key)].pop(key, None) is not None:
            self._size -= 1

    def _least(self) -> str:
        """Return the least of the counts that were not touched for longest."""
        counts = max(self._kinds.values(), key=len)
        now = self._now()
        return min(
            islice(counts, _LOOKED_AT),
            key=lambda key: counts[key][0] if counts[key][1] > now else 0,
        )


class SharedCounts(RedisStorage):
    """A store of counts in Valkey that are never below zero."""

    STORAGE_SCHEME: list[str] = []  # noqa: RUF012 - limits keeps it so

    def __init__(self, pool: BlockingConnectionPool) -> None:
        # limits' annotation of the options knows no pool; its documentation does.
        options: dict[str, Any] = {"connection_pool": pool}
        super().__init__(
            "async+valkey://",
            wrap_exceptions=True,
            key_prefix="identity-throttle",
            **options,
        )
        self._take_away = Valkey(connection_pool=pool).register_script(TAKE_AWAY)

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Add to a count; a negative amount takes away at most what there is."""
        if amount >= 0:
            return await super().incr(key, int(expiry), amount)
        return int(await self._take_away([self.bridge.prefixed_key(key)], [-amount]))


class StoreCounters:
    """Counters kept in a store of `limits`, in windows that begin with their first."""

    fallbacks = 0
    """There is nothing to fall back to."""
    fault = None

    def __init__(self, store: Storage, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        self._windows = FixedWindowRateLimiter(store)

    async def take(self, key: str, limits: Sequence[Limit]) -> timedelta | None:
        """Count one under every limit, or none, and return how long to wait."""
        for place, limit in enumerate(limits):
            if not await self._windows.hit(_item(limit), key):
                await self.give_back(key, limits[: place + 1])
                return await self._longest_wait(key, limits[place:])
        return None

    async def give_back(self, key: str, limits: Sequence[Limit]) -> None:
        """Take one back under every limit."""
        for limit in limits:
            await self._windows.hit(_item(limit), key, cost=-1)

    async def clear(self, key: str, limits: Sequence[Limit]) -> None:
        """Forget what was counted under every limit."""
        for limit in limits:
            await self._windows.clear(_item(limit), key)

    async def close(self) -> None:
        """Have nothing to close."""

    async def _longest_wait(self, key: str, limits: Sequence[Limit]) -> timedelta:
        """Return how long until none of the limits is reached."""
        free_at = self._now() + 1
        for item in map(_item, limits):
            if not await self._windows.test(item, key):
                reset_at = await self._store.get_expiry(item.key_for(key))
                free_at = max(free_at, reset_at)
        return timedelta(seconds=math.ceil(free_at - self._now()))


class ValkeyCounters:
    """Counters that all replicas share, with counters of our own while those are away.

    After a failure memory counts, and once a second one question tries Valkey again.
    """

    def __init__(self, url: str, *, monotonic: Callable[[], float]) -> None:
        self._pool = open_pool(url, seconds=COMMAND_TIMEOUT, most=MAX_CONNECTIONS)
        self._shared = StoreCounters(SharedCounts(self._pool), time.time)
        self._own = StoreCounters(MemoryCounts(monotonic), monotonic)
        self._store = SharedStore(
            "throttle_store",
            timeout=STORE_TIMEOUT,
            now=monotonic,
            describe=store_fault,
        )
        self.fallbacks = 0
        """Checks counted in memory while Valkey did not count."""

    @property
    def fault(self) -> str | None:
        """Why Valkey does not count, so that memory does; None if it does."""
        return self._store.fault

    async def take(self, key: str, limits: Sequence[Limit]) -> timedelta | None:
        """Count one under every limit, or none, and return how long to wait."""
        return await self._ask(lambda counters: counters.take(key, limits))

    async def give_back(self, key: str, limits: Sequence[Limit]) -> None:
        """Take one back under every limit."""
        await self._ask(lambda counters: counters.give_back(key, limits))

    async def clear(self, key: str, limits: Sequence[Limit]) -> None:
        """Forget what was counted under every limit."""
        await self._ask(lambda counters: counters.clear(key, limits))

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.aclose()

    async def _ask(self, question: Callable[[StoreCounters], Awaitable[T]]) -> T:
        async def alone() -> T:
            self.fallbacks += 1
            return await question(self._own)

        return await self._store.ask(lambda: question(self._shared), alone)


def checked_counters_url(value: str) -> str:
    """Return a usable URL as it is; raise ValueError, without it, for another."""
    if value != MEMORY_URL and not is_store_url(value):
        raise ValueError("is neither memory:// nor the URL of a Valkey or a Redis")
    return value


def open_counters(
    url: str, monotonic: Callable[[], float] = time.monotonic
) -> StoreCounters | ValkeyCounters:
    """Return the counters that ``memory://`` or the URL of a Valkey or Redis names.

    Connects to nothing yet. Raises ``ValueError`` for another URL.
    """
    if checked_counters_url(url) == MEMORY_URL:
        return StoreCounters(MemoryCounts(monotonic), monotonic)
    return ValkeyCounters(url, monotonic=monotonic)


def _kind(key: str) -> str:
    """Return what a key counts; `limits` writes ``LIMITER/kind/…``."""
    return key.split("/", 2)[1] if "/" in key else ""


def _item(limit: Limit) -> RateLimitItemPerSecond:
    return RateLimitItemPerSecond(limit.amount, int(limit.period.total_seconds()))
