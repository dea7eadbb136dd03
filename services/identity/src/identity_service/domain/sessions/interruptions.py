"""Times in which no refresh could succeed: no client is to blame for being late."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

LONGEST: Final = timedelta(minutes=10)
"""Of an interruption, no more counts: a spent token that is stolen must be noticed as
reuse even where the database fails now and then for days."""


class Interruption(NamedTuple):
    """A time in which refreshes failed, now and then or all of them."""

    began_at: datetime
    last_failed_at: datetime

    def lengthened(
        self, rotated_at: datetime, began_at: datetime, grace: timedelta
    ) -> bool:
        """Whether the grace of a rotation lasted until a request that began then.

        It does for one that came within the grace of the last failure, if failures
        began within the grace of the rotation.
        """
        return (
            self.began_at - rotated_at <= grace
            and began_at - self.last_failed_at <= grace
            and began_at - rotated_at <= LONGEST
        )


class Interruptions:
    """Keeps the latest interruption that this process has seen.

    Failures that are no further apart than ``gap`` are of one interruption.
    """

    def __init__(self, clock: Callable[[], datetime], gap: timedelta) -> None:
        self._clock = clock
        self._gap = gap
        self.latest: Interruption | None = None

    def note(self) -> None:
        """Record that refreshes fail now, through no fault of their clients."""
        now, latest = self._clock(), self.latest
        is_new = latest is None or now - latest.last_failed_at > self._gap
        began_at = now if latest is None or is_new else latest.began_at
        self.latest = Interruption(began_at, now)
