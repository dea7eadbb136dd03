"""A limit of concurrent requests to an upstream, derived from its latency.

By Little's law an upstream without a queue works on `throughput x latency` requests.
Beyond that, requests only wait for each other: latency grows, throughput does not. So
when latency exceeds the one of an upstream without a queue, the limit falls to that
number and a little more; while it does not, the limit grows. The latency without a
queue is measured again every few seconds, with half as many requests let through.
"""

from typing import Final

_TOLERANCE: Final = 1.4
"""How much longer than without a queue responses may take before the limit falls."""

_HEADROOM: Final = 1.25
"""A short queue, so that the upstream always has something to do."""

_GROWTH: Final = 1.1
"""What a limit that is used up grows by while responses are quick enough."""

_USED_UP: Final = 0.9
"""The part of a limit from which on it is used up."""

_LEAST: Final = 4.0
"""A limit never falls below it: of so few requests none makes a queue that matters."""

_FORGETTING: Final = 0.97
"""What is left of the highest throughput with each look: half of it after 5 seconds."""

_LOOK_SECONDS: Final = 0.2
"""The shortest interval that is judged, and at least twice the latency."""

_LONGEST_LOOK: Final = 1.0
"""However slow the responses are."""

_MEASURE_SECONDS: Final = 5.0
"""Between two measurements of the latency without a queue, while the limit is felt."""

_NEWS: Final = 0.8
"""A latency so far below the last one is measured again immediately."""


class AdaptiveLimit:
    """Counts requests that wait for a response, and adapts their limit."""

    def __init__(self, most: int, fine_below: float, now: float) -> None:
        self._most = float(most)
        self._fine_below = fine_below
        self._limit = float(most)
        self.working = 0
        """How many requests wait for their response."""
        self.waiting = 0
        """How many others do, whose response waits for more than the upstream."""
        self._peak = 0
        self._seconds = 0.0
        self._count = 0
        self._first = 0.0
        """What the very first response took, which met no queue."""
        self._throughput = 0.0
        """Responses a second, the most of lately: what is refused makes it fall."""
        self._base = 0.0
        """Seconds that a response takes without a queue; 0: not known."""
        self._looked_at = now
        self._measure_at = 0.0
        self._measuring = 0
        """Looks until the latency without a queue is known; 0: it is not measured."""

    @property
    def limit(self) -> float:
        """How many requests may wait for their responses."""
        return self._limit / 2 if self._measuring else self._limit

    def begin(self, *, is_timed: bool = True) -> None:
        """Count a request, among those that work or those that wait."""
        if is_timed:
            self.working += 1
            self._peak = max(self._peak, self.working)
        else:
            self.waiting += 1

    def leave(self, *, is_timed: bool = True) -> None:
        """Count a request no longer, of which nothing can be concluded."""
        if is_timed:
            self.working -= 1
        else:
            self.waiting -= 1

    def end(self, seconds: float) -> None:
        """Count a response, and how long it took."""
        self.working -= 1
        self._seconds += seconds
        self._count += 1
        if not self._first:
            self._first = seconds

    def tick(self, now: float) -> None:
        """Judge the responses since the last look, if they are enough."""
        elapsed = now - self._looked_at
        if not self._count:
            if not self.working:  # so there is no queue, whatever there was before
                self._looked_at = now
                self._limit, self._measuring = self._most, 0
            return
        latency = self._seconds / self._count
        if elapsed < min(max(_LOOK_SECONDS, 2 * latency), _LONGEST_LOOK):
            return
        self._throughput = max(self._count / elapsed, self._throughput * _FORGETTING)
        is_used_up = self._peak >= _USED_UP * self.limit
        if self._measuring:
            self._measure(now, latency)
        else:
            self._adapt(latency, is_used_up=is_used_up)
            is_felt = is_used_up and self._limit < self._most
            if is_felt and now >= self._measure_at:
                self._measuring = 2
        self._base = min(self._base or latency, latency)
        self._looked_at, self._peak = now, self.working
        self._seconds, self._count = 0.0, 0

    def _adapt(self, latency: float, *, is_used_up: bool) -> None:
        base = self._base or self._first
        if latency <= self._fine_below:
            self._limit = self._most
        elif latency > _TOLERANCE * base:
            needed = self._throughput * base * _HEADROOM
            self._limit = min(self._limit, max(_LEAST, needed))
        elif is_used_up:
            self._limit = min(self._most, self._limit * _GROWTH)

    def _measure(self, now: float, latency: float) -> None:
        """Take the second look's latency: at the first, older requests still queue."""
        self._measuring -= 1
        if self._measuring:
            return
        is_news = latency < _NEWS * self._base
        self._base = latency
        self._measure_at = now if is_news else now + _MEASURE_SECONDS
