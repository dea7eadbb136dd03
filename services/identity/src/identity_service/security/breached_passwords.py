"""Passwords known from leaks, asked of a mirror of the public range API.

The mirror learns five of the forty hex digits of a password's SHA-1, which some
thousand leaked passwords share, and sends the other digits of all of those. How many
they are is hidden from eavesdroppers by padding (docs/decisions/0036).
"""

import hashlib
import re
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

import aiohttp

from identity_service.domain.accounts.passwords import normalise
from service_kit.counters import SharedStore
from service_kit.tokens.fetching import FetchError, fetch

LOOK_UP_SECONDS: Final = 1.0
"""For the whole look-up: a user is waiting for their new password."""

_PREFIX_LENGTH: Final = 5
"""Hex digits."""

_MOST_BYTES: Final = 262_144
"""Of one range; with padding they have some 60,000."""

_MOST_RANGES: Final = 100
_CACHED_SECONDS: Final = 3600.0
"""Ranges kept in memory, 40,000 bytes each, and for how long: lists of leaks grow now
and then, and people try the same few passwords."""

_MOST_CONNECTIONS: Final = 16

_HEADERS: Final[Mapping[str, str]] = {"Add-Padding": "true"}

_LINE: Final = re.compile(rb"([0-9A-Fa-f]{35}):([0-9]{1,12})")
_PADDING: Final = b"0"
"""How often a suffix was seen that is there only to hide how many there are."""


class LookUp(StrEnum):
    """The outcome of a look-up."""

    BREACHED = "breached"
    UNKNOWN = "unknown"
    UNAVAILABLE = "unavailable"
    """The mirror did not send a range in time, or was left alone after a failure."""


class BreachedPasswords:
    """The passwords that a mirror knows; none while it is away."""

    def __init__(
        self, url: str, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url.rstrip("/")
        self._monotonic = monotonic
        self._mirror = SharedStore(
            "breached_passwords",
            timeout=LOOK_UP_SECONDS,
            now=monotonic,
            describe=_describe,
        )
        self._session: aiohttp.ClientSession | None = None
        self._ranges: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self.outcomes: Counter[LookUp] = Counter()
        """Look-ups by outcome."""

    @property
    def fault(self) -> str | None:
        """Why the mirror was of no use when it was last asked, None if it was."""
        return self._mirror.fault

    async def contain(self, password: str) -> bool:
        """Return whether the mirror knows a password, after a second at most."""
        outcome = await self._look_up(password)
        self.outcomes[outcome] += 1
        return outcome is LookUp.BREACHED

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _look_up(self, password: str) -> LookUp:
        encoded = normalise(password).encode()
        digest = hashlib.sha1(encoded, usedforsecurity=False).hexdigest().upper()
        prefix, suffix = digest[:_PREFIX_LENGTH], digest[_PREFIX_LENGTH:]
        suffixes = self._cached(prefix)
        if suffixes is None:
            suffixes = await self._mirror.ask(lambda: self._fetch(prefix), _nothing)
        if suffixes is None:
            return LookUp.UNAVAILABLE
        return LookUp.BREACHED if suffix.encode() in suffixes else LookUp.UNKNOWN

    def _cached(self, prefix: str) -> bytes | None:
        expires_at, suffixes = self._ranges.get(prefix, (0.0, None))
        return suffixes if self._monotonic() < expires_at else None

    async def _fetch(self, prefix: str) -> bytes | None:
        """Return a range of the mirror's, which is cached."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_MOST_CONNECTIONS),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        fetched = await fetch(
            self._session,
            f"{self._url}/{prefix}",
            max_bytes=_MOST_BYTES,
            headers=_HEADERS,
        )
        suffixes = _suffixes(fetched.body)
        self._ranges[prefix] = (self._monotonic() + _CACHED_SECONDS, suffixes)
        self._ranges.move_to_end(prefix)
        if len(self._ranges) > _MOST_RANGES:
            self._ranges.popitem(last=False)
        return suffixes


def _suffixes(body: bytes) -> bytes:
    """Return the suffixes of a range, in lines; FetchError if it is none."""
    matches = [_LINE.fullmatch(line) for line in body.splitlines()]
    if not all(matches) or not matches:
        raise FetchError("not a range")
    return b"\n".join(
        match[1].upper()
        for match in matches
        if match is not None and match[2].strip(_PADDING)
    )


def _describe(error: Exception) -> str:
    """Return the kind of fault, without the address, which tells of the password."""
    if isinstance(error, TimeoutError):
        return "no response in time"
    return str(error) if isinstance(error, FetchError) else type(error).__name__


async def _nothing() -> None:
    """Stand in for a mirror that is away."""
