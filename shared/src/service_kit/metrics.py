"""Count and time requests, by route."""

import time
from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client import CollectorRegistry
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
"""Upper ends of the histogram's buckets, in seconds; the last bucket has none."""


class _Times:
    """How long the answers of one route took."""

    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * (len(_BOUNDS) + 1)
        self.seconds = 0.0


class RequestMetrics(Collector):
    """Counts in plain numbers and is asked by Prometheus; a label costs too much."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._answered: dict[tuple[str, str, int], int] = {}
        self._times: dict[str, _Times] = {}

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        key = (method, route, status)
        self._answered[key] = self._answered.get(key, 0) + 1
        times = self._times.get(route)
        if times is None:
            times = self._times[route] = _Times()
        times.buckets[bisect_left(_BOUNDS, seconds)] += 1
        times.seconds += seconds

    def collect(self) -> Iterator[Metric]:
        """Return what was counted, as Prometheus has it."""
        answered = CounterMetricFamily(
            f"{self._service}_requests",
            "Requests answered",
            labels=("method", "route", "status"),
        )
        for (method, route, status), number in self._answered.items():
            answered.add_metric((method, route, str(status)), number)
        yield answered
        durations = HistogramMetricFamily(
            f"{self._service}_request_seconds",
            "Time from the request's head to its answer's head, in seconds",
            labels=("route",),
        )
        for route, times in self._times.items():
            durations.add_metric((route,), _cumulative(times.buckets), times.seconds)
        yield durations


def _cumulative(buckets: list[int]) -> list[tuple[str, float]]:
    """Return buckets that each hold the smaller ones, as Prometheus has them."""
    total = 0
    result: list[tuple[str, float]] = []
    for bound, number in zip((*map(str, _BOUNDS), "+Inf"), buckets, strict=True):
        total += number
        result.append((bound, total))
    return result


def request_metrics_middleware(registry: CollectorRegistry, service: str) -> Middleware:
    """Return a middleware that counts answers and times them.

    Labels are the route's pattern, never the path itself, so their number is
    bounded however many paths clients invent.
    """
    metrics = RequestMetrics(service)
    registry.register(metrics)
    monotonic = time.monotonic

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        started_at = monotonic()
        status = 500
        try:
            response = await handler(request)
            status = response.status
        except web.HTTPException as error:
            status = error.status
            raise
        finally:
            resource = request.match_info.route.resource
            if resource is None:
                method, route = "other", "none"
            else:
                method, route = request.method, resource.canonical
            metrics.count(method, route, status, monotonic() - started_at)
        return response

    return middleware
