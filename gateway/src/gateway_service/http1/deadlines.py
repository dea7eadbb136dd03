"""A bound on every wait, without a timer for each.

Setting a deadline is one assignment; a sweep a few times a second finds those that
have passed. So a wait may last one interval longer than its deadline.
"""

import asyncio
import math
from typing import Final, Protocol

INTERVAL: Final = 0.1
"""Seconds between two sweeps."""

ONE_TURN: Final = 0.001
"""Seconds in which everything that has been received is read.

The loop runs timers first. After a standstill of the process (SIGSTOP, a virtual
machine that moves, a turn with very much work) what was awaited may have come long ago.
"""

NEVER: Final = math.inf


class Bounded(Protocol):
    """Something that waits until ``deadline`` at the latest, on the loop's clock."""

    deadline: float

    def on_deadline(self) -> None:
        """Give up the wait."""


class Deadlines:
    """The deadlines of everything that waits."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: set[Bounded] = set()
        self._timer = loop.call_later(INTERVAL, self._read_first)

    def add(self, bounded: Bounded) -> None:
        """Watch ``bounded.deadline``, which may change at any time."""
        self._waiting.add(bounded)

    def discard(self, bounded: Bounded) -> None:
        """Watch it no longer."""
        self._waiting.discard(bounded)

    def close(self) -> None:
        """Stop watching."""
        self._timer.cancel()

    def _read_first(self) -> None:
        now = self._loop.time()
        self._timer = self._loop.call_later(ONE_TURN, self._sweep, now)

    def _sweep(self, due_by: float) -> None:
        """End the waits that were over before what had come was read.

        Others may have begun since, and be over after a turn that took long.
        """
        self._timer = self._loop.call_later(INTERVAL, self._read_first)
        for each in [each for each in self._waiting if each.deadline <= due_by]:
            if (
                each.deadline <= due_by
            ):  # ending one wait may postpone another's deadline
                each.deadline = NEVER
                each.on_deadline()
