"""How often one client may ask for a route.

In memory each client costs one number (the generic cell rate algorithm), and a check
less than a microsecond. Between gateways the counting is done in Valkey by `limits`,
which is imported only then: it takes 8 MiB. Its own memory storage is not used, because
it walks through all its keys in a new task for every request.
"""

import asyncio
import time
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import Final, Protocol

from gateway_service.config.model import RateLimit
from gateway_service.config.values import MEMORY
from service_kit.counters import SharedStore

MOST_CLIENTS: Final = 100_000
"""Clients counted at once, about 15 MB; the oldest are forgotten first."""

IPV6_CLIENT_BITS: Final = 64
"""One subscriber is given at least a /64, so that is one client."""

STORE_SECONDS: Final = 0.25
"""How long one request waits for the shared store."""


class Counter(Protocol):
    """Counts requests for each key."""

    async def wait(self, key: str, limit: RateLimit) -> float:
        """Count one request: 0 admits it, else seconds until it may be tried again."""


class MemoryCounter:
    """Counts in this process: a burst up to the limit, then an even rate."""

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._free_at: dict[str, float] = {}
        """When each key will have its whole limit again."""

    async def wait(self, key: str, limit: RateLimit) -> float:
        """Count one request: 0 admits it, else seconds until it may be tried again."""
        now = self._now()
        free_at = max(self._free_at.pop(key, now), now)
        cost = limit.seconds / limit.requests
        excess = free_at + cost - now - limit.seconds
        refused = excess > cost * 1e-6
        self._free_at[key] = free_at if refused else free_at + cost
        if len(self._free_at) > MOST_CLIENTS:
            del self._free_at[next(iter(self._free_at))]
        return excess if refused else 0.0

    def forget_idle(self) -> None:
        """Drop the keys that have their whole limit again."""
        now = self._now()
        for key in [key for key, at in self._free_at.items() if at <= now]:
            del self._free_at[key]

    def __len__(self) -> int:
        return len(self._free_at)


class SharedCounter:
    """Counts in Valkey, for all gateways together."""

    def __init__(self, url: str, *, timeout: float = STORE_SECONDS) -> None:
        # Imported only where it is configured: see the module's docstring.
        from limits.aio.storage import RedisStorage  # noqa: PLC0415
        from limits.aio.strategies import (  # noqa: PLC0415
            SlidingWindowCounterRateLimiter,
        )
        from valkey.asyncio import ConnectionPool  # noqa: PLC0415

        self._connections = ConnectionPool.from_url(
            url, socket_timeout=timeout, socket_connect_timeout=timeout
        )
        storage = RedisStorage(
            f"async+{url}",
            implementation="valkey",
            key_prefix="gateway",
            connection_pool=self._connections,  # type: ignore[arg-type] # its docs say so
        )
        self._limiter = SlidingWindowCounterRateLimiter(storage)

    async def wait(self, key: str, limit: RateLimit) -> float:
        """Count one request: 0 admits it, else seconds until it may be tried again.

        Raises
        ------
        ValkeyError
            Valkey is away.
        """
        from limits import RateLimitItemPerSecond  # noqa: PLC0415

        item = RateLimitItemPerSecond(limit.requests, limit.seconds)
        if await self._limiter.hit(item, key):
            return 0.0
        window = await self._limiter.get_window_stats(item, key)
        return max(window.reset_time - time.time(), limit.seconds / limit.requests)

    async def close(self) -> None:
        """Close the connections to Valkey."""
        await self._connections.disconnect()


class RateLimits:
    """Admits requests of clients, and goes on alone while the shared store is away."""

    def __init__(
        self,
        store: str,
        *,
        timeout: float = STORE_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = store
        self.refused = 0
        self._timeout = timeout
        self._memory = MemoryCounter(now=now)
        self._store = SharedStore("rate_limit_store", timeout=timeout, now=now)
        self._shared: SharedCounter | None = None

    async def start(self) -> None:
        """Prepare to count in the shared store, if there is one."""
        if self.store != MEMORY:
            # Imports and Lua scripts are read from files: not on the event loop.
            self._shared = await asyncio.to_thread(
                SharedCounter, self.store, timeout=self._timeout
            )

    async def wait(self, route: str, limit: RateLimit, client: str) -> float:
        """Count a request to a route: 0 admits it, else the seconds to wait.

        `client` is an address in its one spelling, as `client_addresses` gives it.
        """
        key = f"{route} {client_network(client)}"
        seconds = await self._wait(key, limit)
        if seconds:
            self.refused += 1
        return seconds

    async def _wait(self, key: str, limit: RateLimit) -> float:
        shared = self._shared
        if shared is None:
            return await self._memory.wait(key, limit)
        return await self._store.ask(
            lambda: shared.wait(key, limit), lambda: self._memory.wait(key, limit)
        )

    @property
    def is_alone(self) -> bool:
        """Whether this process counts for itself because the shared store is away."""
        return self._store.is_away

    @property
    def place(self) -> str:
        """The scheme of the store, without the credentials a URL may hold."""
        return self.store.partition("://")[0]

    async def close(self) -> None:
        """Close the connections to the shared store."""
        if self._shared is not None:
            await self._shared.close()

    def tidy(self) -> None:
        """Forget idle clients; called now and then."""
        self._memory.forget_idle()


def client_network(client: str) -> str:
    """Return what counts as one client: an IPv4 address, or an IPv6 network."""
    if ":" not in client:
        return client
    address = ip_address(client)
    if not isinstance(address, IPv6Address):
        return client
    host_bits = address.max_prefixlen - IPV6_CLIENT_BITS
    return str(IPv6Address(int(address) >> host_bits << host_bits))
