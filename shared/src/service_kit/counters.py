"""Count in a store that replicas share, and go on alone while it is away."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar
from urllib.parse import SplitResult, urlsplit

T = TypeVar("T")

RETRY_SECONDS: Final = 1.0
"""How long a store that failed is left alone."""

_LAST_PORT: Final = 65_535

_SCHEMES: Final = frozenset({"valkey", "valkeys", "redis", "rediss"})

SENTINEL_SCHEMES: Final = frozenset({"valkey+sentinel", "redis+sentinel"})
"""Of URLs that name Sentinels, and the service that they watch."""

_logger: Final = logging.getLogger(__name__)


def is_store_url(url: str) -> bool:
    """Whether a URL names a Valkey, or a Redis, on some host or behind Sentinels.

    ``valkey+sentinel://[USER]:PASSWORD@host:26379,other:26379/SERVICE[/DATABASE]``;
    ``?sentinel_password=…`` if the Sentinels themselves want one.
    """
    parts = urlsplit(url)
    if parts.scheme not in SENTINEL_SCHEMES:
        is_named = parts.scheme in _SCHEMES and bool(parts.hostname)
        return is_named and _has_port(parts) and _is_usable(url)
    service, _, database = parts.path.strip("/").partition("/")
    return (
        bool(sentinels_of(url))
        and bool(service)
        and database.isdecimal() | (not database)
        and _is_usable(url)
    )


def _is_usable(url: str) -> bool:
    """Whether connections can be made of what a URL says, its query included."""
    # Imported only where a store is named: it takes 8 MiB.
    from valkey.exceptions import ValkeyError  # noqa: PLC0415

    from service_kit.valkey_pools import open_pool  # noqa: PLC0415

    try:
        open_pool(url, seconds=1, most=1).make_connection()
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
        if not host or not port.isdecimal() or int(port) > _LAST_PORT:
            return []
        found.append((host, int(port)))
    return found


class SharedStore:
    """Asks a shared store; while it is away, what stands in for it.

    After a failure one question a second tries the store again; the others do not wait
    for that. ``name`` begins the events that are logged: ``{name}_away`` and
    ``{name}_back``.
    """

    def __init__(
        self,
        name: str,
        *,
        timeout: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._timeout = timeout
        self._now = now
        self._retry_at = 0.0
        self.is_away = False
        """Whether the last question to the store failed."""

    async def ask(
        self, shared: Callable[[], Awaitable[T]], alone: Callable[[], Awaitable[T]]
    ) -> T:
        """Return what the store responds, or else what stands in for it does."""
        if self.is_away:
            if self._now() < self._retry_at:
                return await alone()
            self._retry_at = self._now() + RETRY_SECONDS
        try:
            async with asyncio.timeout(self._timeout):
                result = await shared()
        except Exception as error:  # noqa: BLE001 - whatever it is, requests go on
            self._retry_at = self._now() + RETRY_SECONDS
            if not self.is_away:
                event = f"{self._name}_away"
                _logger.warning(event, extra={"error": type(error).__name__})
            self.is_away = True
            return await alone()
        if self.is_away:
            _logger.info(f"{self._name}_back")  # noqa: G004 - a name of the code's
        self.is_away = False
        return result
