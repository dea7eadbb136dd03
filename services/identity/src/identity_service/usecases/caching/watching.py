"""Let clients wait for a document to change, all at the cost of one query."""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, Generic, TypeVar

from identity_service.domain.errors import DatabaseUnavailableError
from identity_service.domain.limits.sources import site_of
from identity_service.domain.sessions.sessions import Device
from service_kit.cancelling import cancelled

LOOK_SECONDS: Final = 0.2
"""Between two queries of the database while clients wait: how late a change of any
process is seen, and how far apart two versions of a document are at least."""

_RETRY_SECONDS: Final = 1.0
"""Between a query that failed and the next."""

_GONE_SECONDS: Final = 1.0
"""How often a waiting client is asked whether it is still there."""

MOST_WAITING: Final = 1000
"""Clients that wait at this process at a time; each holds a connection."""

MOST_FORWARDED: Final = 64
"""Of them, those that wait through a gateway, which sends one replica a bounded number
of requests at a time: those who wait must leave room for those who sign in."""

MOST_OF_A_SITE: Final = 32
"""Of those who wait through a gateway, from one address or IPv6 /64."""

T = TypeVar("T")

_logger: Final = logging.getLogger(__name__)


class Watch(Generic[T]):
    """Wakes the clients that wait for a document to change.

    ``current`` returns the document from memory. ``look`` brings it up to date; it is
    called periodically while clients wait, and not at all otherwise.
    """

    def __init__(
        self, current: Callable[[], T | None], look: Callable[[], Awaitable[None]]
    ) -> None:
        self._current = current
        self._look = look
        self._waiting = 0
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def current(self) -> T | None:
        """The document as this process last read it."""
        return self._current()

    async def stop(self) -> None:
        """Stop polling."""
        if self._task is not None:
            await cancelled(self._task)

    async def other_than(self, seen: T | None) -> None:
        """Return as soon as the document is another one than ``seen``."""
        self._waiting += 1
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        try:
            while self._current() == seen:
                await self._changed.wait()
        finally:
            self._waiting -= 1

    async def _run(self) -> None:
        before = self._current()
        while self._waiting:
            pause = LOOK_SECONDS
            try:
                await self._look()
            except DatabaseUnavailableError:
                pause = _RETRY_SECONDS
            except Exception:
                _logger.exception("look_failed")
                pause = _RETRY_SECONDS
            if self._current() != before:
                before = self._current()
                self._changed.set()
                self._changed = asyncio.Event()
            await asyncio.sleep(pause)
        self._task = None


class Waiters:
    """The clients that wait for any document, limited in number."""

    def __init__(self) -> None:
        self._forwarded: Counter[str] = Counter()
        self._direct = 0
        self._over = asyncio.Event()

    def __len__(self) -> int:
        return self._direct + self._forwarded.total()

    def end(self) -> None:
        """End all waits immediately, and admit no new ones."""
        self._over.set()

    @contextlib.contextmanager
    def admitted(self, device: Device) -> Iterator[bool]:
        """Hold a place for the client, if there is one, while it waits."""
        site = site_of(device.address)
        if not self._has_place(site, is_forwarded=device.is_forwarded):
            yield False
            return
        if device.is_forwarded:
            self._forwarded[site] += 1
        else:
            self._direct += 1
        try:
            yield True
        finally:
            if device.is_forwarded:
                self._forwarded[site] -= 1
                self._forwarded += Counter()  # drops sites without any
            else:
                self._direct -= 1

    def _has_place(self, site: str, *, is_forwarded: bool) -> bool:
        if self._over.is_set() or len(self) >= MOST_WAITING:
            return False
        return not is_forwarded or (
            self._forwarded.total() < MOST_FORWARDED
            and self._forwarded[site] < MOST_OF_A_SITE
        )

    async def wait(
        self, change: Awaitable[None], seconds: float, device: Device
    ) -> None:
        """Wait for the change, but no longer, nor for a client that is gone."""
        ends_at = time.monotonic() + seconds
        awaited: set[asyncio.Future[Any]] = {
            asyncio.ensure_future(change),
            asyncio.ensure_future(self._over.wait()),
        }
        try:
            while (left := ends_at - time.monotonic()) > 0 and not device.is_gone():
                done, _ = await asyncio.wait(
                    awaited,
                    timeout=min(left, _GONE_SECONDS),
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if done:
                    return
        finally:
            for each in awaited:
                each.cancel()
            await asyncio.gather(*awaited, return_exceptions=True)
