"""How long ago requests began, by the word of the gateways that sent them on."""

import math
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

_WINDOW_SECONDS: Final = 30.0
"""How long a gateway's fastest request counts at least; at most it is twice that."""

_SETTLED_SECONDS: Final = 10.0
_ALIKE_SECONDS: Final = 1.0
"""Requests that are alike late for so long, within so much of each other, are on time:
the gateway's clock was set back. After a freeze no two are alike for long."""

_MOST_GATEWAYS: Final = 256
"""Gateways that are tracked; with more, all are measured again."""


class RequestAges:
    """Determines how old requests are, independently of the gateways' clocks.

    Of each gateway's recent requests, the one that was on its way for the shortest time
    counts as new, and the others are so much older as they were later. So nothing
    depends on gateways and replicas having the same time.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._gateways: dict[str, _Fastest] = {}

    def age(self, gateway: str, began_at: float) -> timedelta:
        """Return how old a request is that began then, in seconds of some clock."""
        now = self._monotonic()
        if gateway not in self._gateways:
            if len(self._gateways) >= _MOST_GATEWAYS:
                self._gateways.clear()
            self._gateways[gateway] = _Fastest(now)
        delay = now - began_at
        return timedelta(seconds=delay - self._gateways[gateway].including(delay, now))


class _Fastest:
    """The least of recent delays: that of a window that has ended, and of the present.

    A window without requests does not end: what was known before a pause still counts
    after it.
    """

    def __init__(self, now: float) -> None:
        self._begun_at = self._late_since = now
        self._before = self._present = self._late_by = math.inf

    def including(self, delay: float, now: float) -> float:
        """Return the least delay, this one included."""
        if now - self._begun_at >= _WINDOW_SECONDS:
            self._before, self._present, self._begun_at = self._present, delay, now
        self._present = min(self._present, delay)
        least = min(self._before, self._present)
        is_late = delay - least > _ALIKE_SECONDS
        if not is_late or abs(delay - self._late_by) > _ALIKE_SECONDS:
            self._late_since, self._late_by = now, delay
        elif now - self._late_since >= _SETTLED_SECONDS:
            self._before, self._present, self._begun_at = math.inf, delay, now
            return delay
        return least
