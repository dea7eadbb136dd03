"""Attempts that are counted before any work is done for them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import Enum, auto
from typing import Protocol, Self

from identity_service.domain.errors import TooManyAttemptsError
from identity_service.domain.limits.throttling import Limit


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


class AtSuccess(Enum):
    """What becomes of a count when the password was right."""

    CLEAR = auto()
    GIVE_BACK = auto()
    KEEP = auto()


@dataclass(frozen=True, slots=True)
class Count:
    """One that was counted under a key."""

    key: str
    limits: Sequence[Limit]
    at_success: AtSuccess


@dataclass(slots=True)
class Reservation:
    """An attempt to sign in, which counts as failed until it succeeded.

    In an ``async with`` block nothing of it is counted if a limit is reached.
    """

    counters: Counters
    reached: Counter[str]
    counts: list[Count] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, _: object, error: object, __: object) -> None:
        if isinstance(error, TooManyAttemptsError):
            await self.was_not_tried()

    async def take(
        self, key: str, limits: Sequence[Limit], at_success: AtSuccess
    ) -> None:
        """Count one; note a limit that is reached, and raise `TooManyAttemptsError`."""
        wait = await self.counters.take(key, limits)
        if wait is not None:
            self.reached[key.partition("/")[0]] += 1
            raise TooManyAttemptsError(wait)
        self.counts.append(Count(key, limits, at_success))

    def keep_streak(self) -> None:
        """Have a success take back its own count, and leave the failures before it."""
        self.counts = [
            replace(each, at_success=AtSuccess.GIVE_BACK)
            if each.at_success is AtSuccess.CLEAR
            else each
            for each in self.counts
        ]

    async def succeeded(self) -> None:
        """End the streak of failures, and take the source's count back."""
        for each in self.counts:
            match each.at_success:
                case AtSuccess.CLEAR:
                    await self.counters.clear(each.key, each.limits)
                case AtSuccess.GIVE_BACK:
                    await self.counters.give_back(each.key, each.limits)
                case AtSuccess.KEEP:
                    pass

    async def was_not_tried(self) -> None:
        """Take the attempt back, because the password was not checked."""
        for each in self.counts:
            await self.counters.give_back(each.key, each.limits)
