"""How often somebody may try.

An attempt is reserved before any work is done for it, so that many at once count like
many in turn. The more attempts failed, the longer the wait; nobody is locked out for
good, and never from a device that signed in before (docs/decisions/0032).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from identity_service.domain.errors import TooManyAttemptsError
from identity_service.domain.sources import site_of
from identity_service.domain.throttling import (
    REFRESHES_OF_SESSION,
    REFRESHES_OF_SOURCE,
    SIGN_INS_OF_SOURCE,
    SIGN_INS_OF_USER,
    SIGN_UPS_OF_SOURCE,
    Limit,
)


class Counters(Protocol):
    """Counts what happens to a key, each count forgotten after its limit's period."""

    async def take(self, key: str, limits: Sequence[Limit]) -> timedelta | None:
        """Count one under every limit, or none, and return how long to wait."""
        ...

    async def give_back(self, key: str, limits: Sequence[Limit]) -> None:
        """Take one back."""
        ...

    async def clear(self, key: str, limits: Sequence[Limit]) -> None:
        """Forget what was counted."""
        ...


class NoCounters:
    """Counts nothing, for load tests: everything passes."""

    async def take(self, key: str, limits: Sequence[Limit]) -> None:
        """Let it pass."""

    async def give_back(self, key: str, limits: Sequence[Limit]) -> None:
        """Do nothing."""

    async def clear(self, key: str, limits: Sequence[Limit]) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """An attempt to sign in, which counts as failed until it succeeded."""

    counters: Counters
    streak_key: str
    source_key: str | None

    async def succeeded(self) -> None:
        """End the streak of failures, and take the source's count back."""
        await self.counters.clear(self.streak_key, SIGN_INS_OF_USER)
        await self.give_source_back()

    async def was_not_tried(self) -> None:
        """Take the attempt back: nobody looked at the password."""
        await self.counters.give_back(self.streak_key, SIGN_INS_OF_USER)
        await self.give_source_back()

    async def give_source_back(self) -> None:
        """Take back what was counted for the source."""
        if self.source_key is not None:
            await self.counters.give_back(self.source_key, SIGN_INS_OF_SOURCE)


class Throttle:
    """Refuses what comes too often.

    Sources are the addresses of clients, as text. A user is named by the key of the
    user name, whether there is such a user or not.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    async def reserve_sign_in(
        self, username_key: str, source: str, *, known_device: bool = False
    ) -> Reservation:
        """Count an attempt against the source and the user, before any work for it.

        A known device has a count of its own with its user, which no other source
        can fill, and does not suffer for what else comes from its address.

        Raises
        ------
        TooManyAttemptsError
            Not now.
        """
        name, site = _digest(username_key), _digest(site_of(source))
        if known_device:
            streak_key, source_key = f"known/{name}/{site}", None
        else:
            streak_key, source_key = f"account/{name}", f"source/{site}"
            await self._take(source_key, SIGN_INS_OF_SOURCE)
        reservation = Reservation(self._counters, streak_key, source_key)
        try:
            await self._take(streak_key, SIGN_INS_OF_USER)
        except TooManyAttemptsError:
            await reservation.give_source_back()
            raise
        return reservation

    async def reserve_sign_up(self, source: str) -> None:
        """Count a sign-up, or raise `TooManyAttemptsError`."""
        await self._take(f"sign-up/{_digest(site_of(source))}", SIGN_UPS_OF_SOURCE)

    async def reserve_refresh(self, source: str) -> None:
        """Count a refresh, or raise `TooManyAttemptsError`."""
        await self._take(f"refresh/{_digest(site_of(source))}", REFRESHES_OF_SOURCE)

    async def reserve_refresh_of(self, session_id: str) -> None:
        """Count a refresh of a session, or raise `TooManyAttemptsError`."""
        await self._take(f"session/{_digest(session_id)}", REFRESHES_OF_SESSION)

    async def _take(self, key: str, limits: Sequence[Limit]) -> None:
        wait = await self._counters.take(key, limits)
        if wait is not None:
            raise TooManyAttemptsError(wait)


def _digest(text: str) -> str:
    """Return a short name for a key of any text, which shows nobody who it is."""
    encoded = text.encode("utf-8", "surrogatepass")
    return hashlib.sha256(encoded, usedforsecurity=False).hexdigest()[:32]
