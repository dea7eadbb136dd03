"""Connections to a Valkey, at one address or wherever its Sentinels say it is.

Needs the package `valkey`, which `limits[async-valkey]` brings.
"""

from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from valkey.asyncio import BlockingConnectionPool
from valkey.asyncio.sentinel import Sentinel, SentinelConnectionPool

from service_kit.counters import SENTINEL_SCHEMES, sentinels_of

_PASSWORD: Final = "sentinel_password"  # noqa: S105 - a parameter's name


class _SentinelPool(SentinelConnectionPool, BlockingConnectionPool):
    """Waits for a free connection, as the other pool does."""

    async def aclose(self) -> None:
        """Close the connections to Sentinels as well."""
        await super().aclose()
        for each in self.sentinel_manager.sentinels:
            await each.connection_pool.aclose()


def open_pool(url: str, *, seconds: float, most: int) -> BlockingConnectionPool:
    """Return connections to what a URL names, bounded in number and in time.

    ``seconds`` bound each command, each connection and the wait for a free one. Nothing
    is connected yet. With Sentinels, connections go to the present master; one that has
    become a replica is left for its successor.
    """
    bounds: dict[str, Any] = {
        "socket_timeout": seconds,
        "socket_connect_timeout": seconds,
    }
    room: dict[str, Any] = {"max_connections": most, "timeout": seconds}
    parts = urlsplit(url)
    if parts.scheme not in SENTINEL_SCHEMES:
        return BlockingConnectionPool.from_url(url, **room, **bounds)
    service, _, database = parts.path.strip("/").partition("/")
    name, _, password = parts.netloc.rpartition("@")[0].partition(":")
    [of_sentinels] = parse_qs(parts.query).get(_PASSWORD, [""])
    sentinels = Sentinel(  # type: ignore[no-untyped-call]
        sentinels_of(url),
        sentinel_kwargs={**bounds, "password": of_sentinels or None},
    )
    return _SentinelPool(  # type: ignore[no-untyped-call]
        service,
        sentinels,
        **room,
        **bounds,
        db=int(database or 0),
        username=unquote(name) or None,
        password=unquote(password) or None,
    )
