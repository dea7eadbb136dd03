"""Find replicas that are much slower than the others, and send them few requests.

Slowness is no failure: a slow replica is never ejected for it, and serves as before
where it is the only one. Only requests that do not wait by design are timed.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

SLOW_SHARE: Final = 0.01
"""The part of its full share that a slow replica gets, which shows when it recovers."""

_SLOW_FACTOR: Final = 3.0
"""How many times as long as the others' its responses take."""

_QUICK_FACTOR: Final = 1.5
"""How many times as long they may take for a slow replica to be slow no longer."""

_SLOW_MARGIN: Final = 0.005
"""Seconds they must take longer as well: smaller differences are noise."""

_IN_A_ROW: Final = 2
"""Looks in a row at which a replica was slow; one is chance, or one large request."""

_FORGOTTEN_AFTER: Final = 40
"""Looks without a response after which a slow replica is tried again: 10 seconds."""


class Speed:
    """How long a replica's responses take; two additions for each response."""

    __slots__ = ("_idle_looks", "_slow_looks", "latency", "responses", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        """What the responses since the last look took, in all."""
        self.responses = 0
        """How many those were."""
        self.latency = 0.0
        """Seconds that a response takes lately; 0 while nothing is known."""
        self._slow_looks = 0
        self._idle_looks = 0

    @property
    def is_slow(self) -> bool:
        """Whether the replica was slow for a while."""
        return self._slow_looks >= _IN_A_ROW

    def look(self, typical: float) -> None:
        """Judge the last responses by what is ``typical`` of others; 0: not known."""
        if not self.responses:
            self._idle_looks += 1
            if self._idle_looks >= _FORGOTTEN_AFTER:
                self._slow_looks = min(self._slow_looks, _IN_A_ROW - 1)
            return
        self._idle_looks = 0
        mean = self.seconds / self.responses
        self.seconds, self.responses = 0.0, 0
        self.latency = (self.latency + mean) / 2 if self.latency else mean
        if not typical or mean <= _QUICK_FACTOR * typical + _SLOW_MARGIN:
            self._slow_looks = 0
        elif mean > _SLOW_FACTOR * typical + _SLOW_MARGIN:
            self._slow_looks += 1


def look_at(speeds: Sequence[Speed]) -> None:
    """Judge each replica's last responses by those of the others."""
    known = sorted(speed.latency for speed in speeds if speed.latency)
    for speed in speeds:
        speed.look(_typical_beside(speed.latency, known))


def _typical_beside(own: float, known: Sequence[float]) -> float:
    """Return the low median of the latencies ``known`` but for one's own; 0: none.

    They are sorted once for all replicas, of which there may be a thousand.
    """
    others = len(known) - bool(own)
    if not others:
        return 0.0
    middle = (others - 1) // 2
    is_passed = own > 0 and bisect_left(known, own) <= middle
    return known[middle + is_passed]
