"""Count and time requests, by route."""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

_BOUNDS: Final = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
)
"""Upper bounds of the histogram's buckets, in seconds; the last bucket has none."""


class _Times:
    """How long the responses of one route took."""

    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * (len(_BOUNDS) + 1)
        self.seconds = 0.0


class RequestMetrics(Collector):
    """Counts in plain numbers, which Prometheus collects; its counters cost too much.

    Values of labels must come from the code or the configuration, never from a client,
    so that their number is bounded. ``more_labels`` follow method, route and status.
    """

    def __init__(self, service: str, *more_labels: str) -> None:
        self._service = service
        self._labels = ("method", "route", "status", *more_labels)
        self._counts: dict[tuple[str | int, ...], int] = {}
        self._times: dict[str, _Times] = {}

    def count(
        self, method: str, route: str, status: int, seconds: float, *more: str
    ) -> None:
        """Count one response, ``seconds`` after the head of its request."""
        key: tuple[str | int, ...] = (method, route, status, *more)
        self._counts[key] = self._counts.get(key, 0) + 1
        times = self._times.get(route)
        if times is None:
            times = self._times[route] = _Times()
        times.buckets[bisect_left(_BOUNDS, seconds)] += 1
        times.seconds += seconds

    def collect(self) -> Iterator[Metric]:
        """Return the counts in Prometheus' form."""
        requests = CounterMetricFamily(
            f"{self._service}_requests",
            "Requests; status 499 stands for clients that left before their response",
            labels=self._labels,
        )
        for labels, number in self._counts.items():
            requests.add_metric([str(label) for label in labels], number)
        yield requests
        durations = HistogramMetricFamily(
            f"{self._service}_request_seconds",
            "Seconds from the head of a request until its response is complete",
            labels=("route",),
        )
        for route, times in self._times.items():
            durations.add_metric((route,), _cumulative(times.buckets), times.seconds)
        yield durations


def _cumulative(buckets: list[int]) -> list[tuple[str, float]]:
    """Return buckets that each include the smaller ones, in Prometheus' form."""
    total = 0
    result: list[tuple[str, float]] = []
    for bound, number in zip((*map(str, _BOUNDS), "+Inf"), buckets, strict=True):
        total += number
        result.append((bound, total))
    return result
