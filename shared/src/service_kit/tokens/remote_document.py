"""One document of the issuer, fetched, and waited for where its server allows that."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

import aiohttp

from service_kit.tokens.fetching import Fetched, fetch

LONGEST_WAIT: Final = timedelta(seconds=25)
"""How long a server is asked to wait for a change. Proxies often give up after 30 s."""

_UNCHANGED_SECONDS: Final = 1.0
_CHANGED_SECONDS: Final = 0.2
"""From one request to the next at least, whatever a server does that does not wait or
has something new each time."""

Take = Callable[[Fetched], Awaitable[None]]
"""Judges a document and uses it from now on, or raises."""


class RemoteDocument:
    """A document at one address, and how it was last found there."""

    def __init__(
        self,
        url: str,
        session: aiohttp.ClientSession,
        *,
        max_bytes: int,
        confirmed: Callable[[], None] = lambda: None,
    ) -> None:
        """Send no request yet; ``confirmed`` is called after each good response."""
        self.requests = 0
        """How often the server was asked."""
        self.clock_ahead: timedelta | None = None
        """How far this host's clock is ahead of the server's, None if its last good
        response did not say."""
        self._confirmed_at: float | None = None
        """By the monotonic clock."""
        self._url = url
        self._session = session
        self._max_bytes = max_bytes
        self._confirmed = confirmed
        self._etag: str | None = None
        """None unless the server lets one wait until the document has another one."""

    @property
    def age(self) -> timedelta | None:
        """How long ago the document was fetched or confirmed, None if it never was."""
        if self._confirmed_at is None:
            return None
        return timedelta(seconds=time.monotonic() - self._confirmed_at)

    async def fetch(self, take: Take) -> Fetched:
        """Give ``take`` the document as it is now, and return it.

        Raises `FetchError`, and whatever ``take`` raises.
        """
        found = await self._request(LONGEST_WAIT, None)
        await take(found)
        self._confirm(found)
        return found

    async def follow(self, longest_wait: Callable[[], timedelta], take: Take) -> None:
        """Give ``take`` each new version while the server waits for changes.

        One request waits at the server all the time, none for longer than
        ``longest_wait`` says; when it says zero, or the server does not let one wait,
        this returns.

        Raises `FetchError`: the server is gone; and whatever ``take`` raises.
        """
        while self._etag is not None and (wait := longest_wait()):
            before, begun_at = self._etag, time.monotonic()
            found = await self._request(min(wait, LONGEST_WAIT), before)
            is_changed = not found.is_unchanged and found.etag != before
            if is_changed:
                await take(found)
            self._confirm(found)
            shortest = _CHANGED_SECONDS if is_changed else _UNCHANGED_SECONDS
            await asyncio.sleep(begun_at + shortest - time.monotonic())

    async def _request(self, wait: timedelta, etag: str | None) -> Fetched:
        self.requests += 1
        return await fetch(
            self._session, self._url, max_bytes=self._max_bytes, wait=wait, etag=etag
        )

    def _confirm(self, found: Fetched) -> None:
        """Record a good response."""
        self._confirmed_at = time.monotonic()
        self.clock_ahead = found.clock_ahead
        self._confirmed()
        if not found.is_waited:
            self._etag = None
        elif not found.is_unchanged:
            self._etag = found.etag
