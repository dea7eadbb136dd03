"""The issuer's keys, fetched from where it publishes them."""

import time
from datetime import timedelta
from typing import Final, NamedTuple, Self

import aiohttp

from service_kit.tokens.copies import CopiesOnDisk
from service_kit.tokens.errors import KeysUnavailableError
from service_kit.tokens.fetching import Fetched
from service_kit.tokens.jwks import MAX_BYTES, parse_jwks
from service_kit.tokens.key_set import VerificationKey
from service_kit.tokens.refresher import Refresher, one_deadline
from service_kit.tokens.remote_document import LONGEST_WAIT, RemoteDocument

_SHORTEST: Final = timedelta(seconds=5)
_LONGEST: Final = timedelta(seconds=60)
"""Bounds of ``max-age``, and what is done without it. A key that its issuer withdraws
in an emergency is trusted no longer than this, whatever the cache headers said."""

_RETRY: Final = timedelta(seconds=1)
_RETRY_WITH_KEYS: Final = timedelta(seconds=5)

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
"""Seconds for which a kid that the issuer did not know is refused without asking again:
doubled each time, so a new key is found soon and an old one is not sought for ever."""

_MAX_UNKNOWN: Final = 4096
"""Unknown kids kept in mind; a flood of made-up ones empties it again and again."""


class _Unknown(NamedTuple):
    """When to ask again for a kid that was not there."""

    until: float
    pause: float


class RemoteKeySet:
    """A `KeySet` kept fresh in the background, from ``async with`` on to its end.

    The last good set stays in use through every failure. A kid that is not in it makes
    the set look for it at its issuer, within a budget.
    """

    def __init__(
        self,
        url: str,
        session: aiohttp.ClientSession,
        *,
        copies: CopiesOnDisk | None = None,
    ) -> None:
        self._url = url
        self._document = RemoteDocument(
            url, session, max_bytes=MAX_BYTES, confirmed=self._save_copy
        )
        self._copies = copies
        self._body = b""
        """The document that the keys are from."""
        self._keys: dict[str, VerificationKey] = {}
        self._unknown: dict[str, _Unknown] = {}
        self._refresher = Refresher(
            "jwks",
            self.refresh,
            retry_delay=self._retry_delay,
            follow=lambda: self._document.follow(lambda: LONGEST_WAIT, self._take),
        )

    async def __aenter__(self) -> Self:
        """Begin to fetch; this does not wait for the issuer."""
        await self._load_copy()
        self._refresher.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop fetching."""
        await self._refresher.stop()
        if self._copies is not None:
            await self._copies.saved()

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def kids(self) -> list[str]:
        """The names of the keys in the set."""
        return list(self._keys)

    @property
    def fetches(self) -> int:
        """How many requests were sent to the issuer."""
        return self._document.requests

    @property
    def failures(self) -> int:
        """How many of these requests failed."""
        return self._refresher.failures

    @property
    def age(self) -> timedelta | None:
        """How long ago the issuer gave or confirmed them, None if it never did.

        A set that was refused counts for nothing.
        """
        return self._document.age

    @property
    def clock_ahead(self) -> timedelta | None:
        """How far this host's clock is ahead of the issuer's, None if unknown."""
        return self._document.clock_ahead

    def fault(self) -> str | None:
        """Return why tokens cannot be judged at the moment, if they cannot."""
        return None if self._keys else "no verification keys yet"

    def cached(self, kid: str) -> VerificationKey | None:
        """Return the key of that name, if it is in the set now."""
        return self._keys.get(kid)

    async def fetch(self, kid: str) -> VerificationKey | None:
        """Return the key of that name; see `KeySet`."""
        key = self._keys.get(kid)
        return await self._look_for(kid) if key is None else key

    async def _look_for(self, kid: str) -> VerificationKey | None:
        """Ask the issuer for a key that is not in the set."""
        unknown = self._unknown.get(kid)
        if unknown is not None and unknown.until > time.monotonic():
            return None
        with one_deadline():
            if await self._refresher.current() and kid not in self._keys:
                await self._refresher.next()
        key = self._keys.get(kid)
        if key is not None:
            return key
        if not self._keys or self._refresher.failing:
            raise KeysUnavailableError("the issuer does not give its keys")
        self._remember_unknown(kid, unknown)
        return None

    def _remember_unknown(self, kid: str, before: _Unknown | None) -> None:
        pause = min(before.pause * 2, _LONGEST_PAUSE) if before else _FIRST_PAUSE
        if len(self._unknown) >= _MAX_UNKNOWN:
            self._unknown.clear()
        self._unknown[kid] = _Unknown(time.monotonic() + pause, pause)

    async def refresh(self) -> timedelta:
        """Fetch the set; a bad one is an error and replaces nothing."""
        fetched = await self._document.fetch(self._take)
        max_age = _LONGEST if fetched.max_age is None else fetched.max_age
        return min(max(max_age, _SHORTEST), _LONGEST)

    async def _take(self, fetched: Fetched) -> None:
        self._replace(parse_jwks(fetched.body))
        self._body = fetched.body

    def _save_copy(self) -> None:
        """Save what the issuer confirms now: by its age a copy is judged later."""
        if self._copies is not None:
            self._copies.save(self._url, self._body)

    def _replace(self, keys: dict[str, VerificationKey]) -> None:
        """Take over the new set; a key that was there before stays the same object."""
        old = self._keys
        self._keys = {
            kid: old[kid] if old.get(kid) == key else key for kid, key in keys.items()
        }

    async def _load_copy(self) -> None:
        if self._copies is None:
            return
        document = await self._copies.load(self._url)
        if document is not None:
            try:
                self._replace(parse_jwks(document))
            except ValueError:
                return  # as if there were none

    def _retry_delay(self) -> timedelta:
        return _RETRY_WITH_KEYS if self._keys else _RETRY
