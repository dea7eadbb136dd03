"""Count and time requests, by route."""

import operator
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, TypeVar

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

_BOUNDS: Final[tuple[float, ...]] = (
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

_ROUTE: Final = 1
"""Which label is the route."""

Labels = tuple[str | int, ...]
"""Method, route, status, and those that a service adds."""

Family = TypeVar("Family", CounterMetricFamily, GaugeMetricFamily)


class Collected(Collector):
    """Collects what a function yields when it is called."""

    def __init__(self, values: Callable[[], Iterable[Metric]]) -> None:
        self._values = values

    def collect(self) -> Iterable[Metric]:
        """Return the present values."""
        return self._values()


class _Series:
    """How long the responses with the same labels took."""

    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * (len(_BOUNDS) + 1)
        self.seconds = 0.0

    def add(self, other: "_Series") -> None:
        """Add the times of another series to these."""
        self.buckets = [*map(operator.add, self.buckets, other.buckets)]
        self.seconds += other.seconds


class RequestMetrics(Collector):
    """Counts in plain numbers, which Prometheus collects; its counters cost too much.

    Values of labels must come from the code or the configuration, never from a client,
    so that their number is bounded. ``more_labels`` follow method, route and status.
    """

    def __init__(self, service: str, *more_labels: str) -> None:
        self._service = service
        self._labels = ("method", "route", "status", *more_labels)
        self._series: defaultdict[Labels, _Series] = defaultdict(_Series)
        self._problems: Counter[tuple[str, str]] = Counter()

    def count(self, labels: Labels, seconds: float) -> None:
        """Count one response, ``seconds`` after the head of its request."""
        series = self._series[labels]
        series.buckets[bisect_left(_BOUNDS, seconds)] += 1
        series.seconds += seconds

    def totals(self) -> tuple[int, float]:
        """Return how many responses there were, and how many seconds they took."""
        series = self._series.values()
        count = sum(sum(each.buckets) for each in series)
        return count, sum(each.seconds for each in series)

    def count_problem(self, route: str, code: str) -> None:
        """Count one response that is a problem."""
        self._problems[route, code] += 1

    def collect(self) -> Iterator[Metric]:
        """Return the counts in Prometheus' form."""
        requests = CounterMetricFamily(
            f"{self._service}_requests",
            "Requests; status 499 stands for clients that left before their response",
            labels=self._labels,
        )
        routes: defaultdict[str, _Series] = defaultdict(_Series)
        for labels, series in self._series.items():
            requests.add_metric([str(label) for label in labels], sum(series.buckets))
            routes[str(labels[_ROUTE])].add(series)
        yield requests
        durations = HistogramMetricFamily(
            f"{self._service}_request_seconds",
            "Seconds from the head of a request until its response is complete",
            labels=("route",),
        )
        for route, total in routes.items():
            durations.add_metric((route,), _cumulative(total.buckets), total.seconds)
        yield durations
        problems = CounterMetricFamily(
            f"{self._service}_problems",
            "Requests that this service refused or failed, by the problem's code",
            labels=("route", "code"),
        )
        yield with_samples(problems, self._problems)


def with_samples(
    family: Family, values: Mapping[str, float] | Mapping[tuple[str, str], float]
) -> Family:
    """Return the family with a sample for each value of its labels."""
    for labels, value in values.items():
        family.add_metric((labels,) if isinstance(labels, str) else labels, value)
    return family


def _cumulative(buckets: list[int]) -> list[tuple[str, float]]:
    """Return buckets that each include the smaller ones, in Prometheus' form."""
    total = 0
    result: list[tuple[str, float]] = []
    for bound, number in zip((*map(str, _BOUNDS), "+Inf"), buckets, strict=True):
        total += number
        result.append((bound, total))
    return result
