"""Connections to a Valkey, at one address or wherever its Sentinels say it is.

Needs the package `valkey`, which `limits[async-valkey]` brings.
"""

from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from valkey.asyncio import BlockingConnectionPool
from valkey.asyncio.sentinel import Sentinel, SentinelConnectionPool
from valkey.exceptions import TimeoutError as ValkeyTimeoutError
from valkey.exceptions import ValkeyError

from service_kit.settings import LAST_PORT

_SCHEMES: Final = frozenset({"valkey", "valkeys", "redis", "rediss"})

_SENTINEL_SCHEMES: Final = frozenset({"valkey+sentinel", "redis+sentinel"})
"""Of URLs that name Sentinels, and the service that they watch."""

_FILES: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
"""Parameters that name files; the library opens them with the first connection."""

_PASSWORD: Final = "sentinel_password"  # noqa: S105 - a parameter's name


def is_store_url(url: str) -> bool:
    """Whether a URL names a Valkey, or a Redis, on some host or behind Sentinels.

    ``valkey+sentinel://[USER]:PASSWORD@host:26379,other:26379/SERVICE[/DATABASE]``;
    ``?sentinel_password=…`` if the Sentinels themselves want one.
    """
    try:
        parts = urlsplit(url)
    except ValueError:  # its text may hold the password
        return False
    if parts.scheme not in _SENTINEL_SCHEMES:
        database = parts.path.strip("/")
        is_named = parts.scheme in _SCHEMES and bool(parts.hostname)
        is_named = is_named and _has_port(parts)
    else:
        service, _, database = parts.path.strip("/").partition("/")
        is_named = bool(sentinels_of(url)) and bool(service)
        query = parse_qs(parts.query, keep_blank_values=True)
        is_named = is_named and query.keys() <= {_PASSWORD}  # others have no effect
    is_numbered = not database or (database.isascii() and database.isdecimal())
    return is_named and is_numbered and _has_files(parts) and _is_usable(url)


def _has_files(parts: SplitResult) -> bool:
    """Whether the certificates and keys are there that a URL's query names."""
    query = parse_qs(parts.query)
    return all(Path(path).is_file() for name in _FILES for path in query.get(name, []))


def _is_usable(url: str) -> bool:
    """Whether connections can be made of what a URL says, its query included."""
    try:
        open_pool(url, seconds=1, most=1).make_connection()  # type: ignore[no-untyped-call]
    except (ValueError, TypeError, ValkeyError):
        return False
    return True


def _has_port(parts: SplitResult) -> bool:
    """Whether a port is one, or is left out."""
    try:
        return parts.port != 0
    except ValueError:
        return False


def sentinels_of(url: str) -> list[tuple[str, int]]:
    """Return hosts and ports of the Sentinels in a URL, none where it is wrong."""
    found = []
    for place in urlsplit(url).netloc.rpartition("@")[2].split(","):
        host, _, port = place.rpartition(":") if ":" in place else (place, "", "26379")
        if not host or not port.isdecimal() or int(port) > LAST_PORT:
            return []
        found.append((host, int(port)))
    return found


def store_fault(error: BaseException) -> str:
    """Say what is wrong with a Valkey, in words that repeat no secret."""
    while error.__cause__ is not None and not isinstance(
        error, ValkeyError | TimeoutError
    ):
        error = error.__cause__
    if isinstance(error, TimeoutError | ValkeyTimeoutError):
        return "no response in time"
    text = str(error) if isinstance(error, ValkeyError) else ""
    return text or type(error).__name__


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
    if parts.scheme not in _SENTINEL_SCHEMES:
        return BlockingConnectionPool.from_url(url, **room, **bounds)
    service, _, database = parts.path.strip("/").partition("/")
    name, _, password = parts.netloc.rpartition("@")[0].partition(":")
    [of_sentinels] = parse_qs(parts.query).get(_PASSWORD, [""])
    sentinels = Sentinel(  # type: ignore[no-untyped-call]
        sentinels_of(url), sentinel_kwargs={**bounds, "password": of_sentinels or None}
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
