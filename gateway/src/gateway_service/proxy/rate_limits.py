"""Rate limits of clients on routes.

In memory each client costs one number (the generic cell rate algorithm), and a check
less than a microsecond. Between gateways the counting is done in Valkey by `limits`,
which is imported only then: it takes 8 MiB. Its own memory storage is not used, because
it walks through all its keys in a new task for every request.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple

from gateway_service.config.clients import RateLimit
from gateway_service.config.values import MEMORY
from gateway_service.shared_rows import Numbers, SharedRows
from service_kit.counters import SharedStore
from service_kit.requests.addresses import client_network

MOST_CLIENTS: Final = 100_000
"""Clients that are counted, in about 15 MB; the oldest are forgotten first."""

FIELDS: Final = ("RateLimit", "RateLimit-Policy")
"""On responses of limited routes (draft-ietf-httpapi-ratelimit-headers-10)."""

STORE_SECONDS: Final = 0.25
"""How long one request waits for the shared store."""

MOST_CONNECTIONS: Final = 256
"""To the shared store, for each gateway process."""


class Quota(NamedTuple):
    """What a client has of a limit after a request."""

    wait: float
    """Seconds until the request may be tried again; 0: it is admitted."""
    requests: int
    """How many are left."""
    seconds: float
    """Until it has the whole limit again."""


class MemoryCounter:
    """Counts in this process: a burst up to the limit, then an even rate."""

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._free_at: dict[str, float] = {}
        """When each key will have its whole limit again."""

    async def count(self, key: str, limit: RateLimit) -> Quota:
        """Count one request; one that is refused is not counted."""
        before = self._free_at.pop(key, 0.0)
        self._free_at[key], quota = _counted(before, limit, self._now())
        if len(self._free_at) > MOST_CLIENTS:
            del self._free_at[next(iter(self._free_at))]
        return quota

    def forget_idle(self) -> None:
        """Drop the keys that have their whole limit again."""
        now = self._now()
        for key in [key for key, at in self._free_at.items() if at <= now]:
            del self._free_at[key]

    def __len__(self) -> int:
        return len(self._free_at)


class RowCounter:
    """Counts as `MemoryCounter` does, for all workers of one gateway together."""

    def __init__(self, rows: SharedRows) -> None:
        self.rows = rows

    async def count(self, key: str, limit: RateLimit) -> Quota:
        """Count one request; one that is refused is not counted."""
        now = time.monotonic()  # the system's: the same in each worker
        quota = Quota(0.0, 0, 0.0)

        def count(numbers: Numbers) -> Numbers:
            nonlocal quota
            free_at, quota = _counted(numbers[0], limit, now)
            return (free_at,)

        self.rows.change(key, count)
        return quota

    def forget_idle(self) -> None:
        """Do nothing: rows of those who have their whole limit are used again."""


def _counted(free_at: float, limit: RateLimit, now: float) -> tuple[float, Quota]:
    """Return when a client has its whole limit again, and what it has of it now.

    By another limit, before a reload, that may have been much later.
    """
    free_at = min(max(free_at, now), now + limit.seconds)
    cost = limit.seconds / limit.requests
    wait = free_at + cost - now - limit.seconds
    if wait <= cost * 1e-6:
        free_at, wait = free_at + cost, 0.0
    busy = min(free_at - now, limit.seconds)
    left = int((limit.seconds - busy) / cost + 1e-6)
    return free_at, Quota(wait, left, busy)


def valkey_fault(error: BaseException) -> str:
    """Say what is wrong with Valkey."""
    # As in `SharedCounter`, which has imported it by then.
    from service_kit import valkey_pools  # noqa: PLC0415

    return valkey_pools.store_fault(error)


class SharedCounter:
    """Counts in Valkey, for all gateways together."""

    def __init__(self, url: str, *, timeout: float = STORE_SECONDS) -> None:
        # Imported only where it is configured: see the module's docstring.
        from limits import RateLimitItemPerSecond  # noqa: PLC0415
        from limits.aio.storage import RedisStorage  # noqa: PLC0415
        from limits.aio.strategies import (  # noqa: PLC0415
            SlidingWindowCounterRateLimiter,
        )

        from service_kit.valkey_pools import open_pool  # noqa: PLC0415

        self._connections = open_pool(url, seconds=timeout, most=MOST_CONNECTIONS)
        storage = RedisStorage(
            "async+valkey://",
            key_prefix="gateway",
            connection_pool=self._connections,  # type: ignore[arg-type] # its docs say so
        )
        self._item = RateLimitItemPerSecond
        self._limiter = SlidingWindowCounterRateLimiter(storage)

    async def count(self, key: str, limit: RateLimit) -> Quota:
        """Count one request; one that is refused is not counted.

        Raises `ValkeyError`: Valkey is away.
        """
        item = self._item(limit.requests, limit.seconds)
        is_admitted = await self._limiter.hit(item, key)
        window = await self._limiter.get_window_stats(item, key)
        seconds = max(0.0, window.reset_time - time.time())
        wait = 0.0 if is_admitted else max(seconds, limit.seconds / limit.requests)
        return Quota(wait, max(0, window.remaining), seconds)

    async def close(self) -> None:
        """Close the connections to Valkey."""
        await self._connections.aclose()


class RateLimits:
    """Admits requests of clients, and counts alone while the shared store does not."""

    def __init__(
        self,
        store: str,
        *,
        timeout: float = STORE_SECONDS,
        now: Callable[[], float] = time.monotonic,
        memory: MemoryCounter | RowCounter | None = None,
    ) -> None:
        self.store = store
        self.refused = 0
        self._timeout = timeout
        self._memory = memory or MemoryCounter(now=now)
        self._store = SharedStore(
            "rate_limit_store", timeout=timeout, now=now, describe=valkey_fault
        )
        self._shared: SharedCounter | None = None

    async def start(self) -> None:
        """Prepare to count in the shared store, if there is one."""
        if self.store != MEMORY:
            # Imports and Lua scripts are read from files: not on the event loop.
            self._shared = await asyncio.to_thread(
                SharedCounter, self.store, timeout=self._timeout
            )

    async def count(self, route: str, limit: RateLimit, client: str) -> Quota:
        """Count a request to a route; return what its client has left of the limit.

        `client` is an address in its one spelling, as `client_addresses` gives it.
        """
        key = f"{route} {client_network(client)}"
        shared, alone = self._shared, self._memory
        if shared is None:
            quota = await alone.count(key, limit)
        else:
            quota = await self._store.ask(
                lambda: shared.count(key, limit), lambda: alone.count(key, limit)
            )
        self.refused += quota.wait > 0
        return quota

    @property
    def is_alone(self) -> bool:
        """Whether this process counts alone, because the shared store does not."""
        return self._store.is_away

    @property
    def place(self) -> str:
        """The scheme of the store, without the credentials a URL may hold."""
        return self.store.partition("://")[0]

    async def close(self) -> None:
        """Close the connections to the shared store, which may be away by now."""
        if self._shared is not None:
            with contextlib.suppress(Exception):
                await self._shared.close()

    def tidy(self) -> None:
        """Forget idle clients; called now and then."""
        self._memory.forget_idle()


@lru_cache(maxsize=256)
def policy_line(route: str, limit: RateLimit) -> bytes:
    """Return the field that names a limit."""
    text = f'RateLimit-Policy: "{route}";q={limit.requests};w={limit.seconds}\r\n'
    return text.encode("ascii")


def quota_line(route: str, quota: Quota) -> bytes:
    """Return the field that says what is left of the limit of the same name."""
    seconds = math.ceil(quota.seconds)
    return f'RateLimit: "{route}";r={quota.requests};t={seconds}\r\n'.encode("ascii")
