"""Counts of requests in plain numbers, told to Prometheus when it asks.

Labels are names of the configuration and known replicas, so they are bounded.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from gateway_service.proxy.state import State
from gateway_service.upstreams.replica import Replica, ReplicaHealth
from service_kit.edge.exchange import CLIENT_GONE, Exchange

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
"""Seconds; the upper ends of a histogram's buckets."""


class _Durations:
    """A histogram."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(_BOUNDS) + 1)
        self.total = 0.0

    def cumulative(self) -> list[tuple[str, float]]:
        """Return each bucket's bound with the count of all below it."""
        bounds = [*(f"{bound:g}" for bound in _BOUNDS), "+Inf"]
        reached, buckets = 0, []
        for bound, count in zip(bounds, self.counts, strict=True):
            reached += count
            buckets.append((bound, float(reached)))
        return buckets


def _is_usable(replica: Replica) -> bool:
    return replica.health is ReplicaHealth.READY and not replica.ejected_until


class RequestMetrics(Collector):
    """What the gateway counts, and what its upstreams know of themselves."""

    def __init__(
        self,
        state: Callable[[], State],
        connections: Callable[[], int],
        dropped_lines: Callable[[], int],
    ) -> None:
        self._state = state
        self._connections = connections
        self._dropped_lines = dropped_lines
        self._answers: dict[tuple[str, str, int], int] = {}
        self._durations: dict[str, _Durations] = {}

    def record(self, exchange: Exchange, seconds: float) -> None:
        """Count an exchange that is over."""
        key = (exchange.route, exchange.upstream, exchange.status or CLIENT_GONE)
        answers = self._answers
        answers[key] = answers.get(key, 0) + 1
        durations = self._durations.get(exchange.route)
        if durations is None:
            durations = self._durations[exchange.route] = _Durations()
        durations.counts[bisect_left(_BOUNDS, seconds)] += 1
        durations.total += seconds

    def collect(self) -> Iterator[Metric]:
        """Return everything as Prometheus wants it."""
        answers = CounterMetricFamily(
            "gateway_requests",
            "Requests answered; 499 stands for clients that left before",
            labels=("route", "upstream", "status"),
        )
        for (route, upstream, status), count in self._answers.items():
            answers.add_metric((route, upstream, str(status)), count)
        yield answers
        durations = HistogramMetricFamily(
            "gateway_request_seconds",
            "Time from the request's head to the answer's end",
            labels=("route",),
        )
        for route, each in self._durations.items():
            durations.add_metric((route,), each.cumulative(), each.total)
        yield durations
        yield GaugeMetricFamily(
            "gateway_client_connections",
            "Connections of clients that are open",
            self._connections(),
        )
        yield CounterMetricFamily(
            "gateway_access_log_dropped",
            "Lines of the access log that were lost",
            self._dropped_lines(),
        )
        yield CounterMetricFamily(
            "gateway_rate_limited",
            "Requests refused by a rate limit",
            self._state().rate_limits.refused,
        )
        yield GaugeMetricFamily(
            "gateway_rate_limit_store_away",
            "1 while this process counts alone, for want of the shared store",
            self._state().rate_limits.is_alone,
        )
        yield from self._of_replicas()

    def _of_replicas(self) -> Iterator[Metric]:
        labels = ("upstream", "replica")
        requests = CounterMetricFamily(
            "gateway_replica_requests", "Requests sent to a replica", labels=labels
        )
        in_flight = GaugeMetricFamily(
            "gateway_replica_in_flight",
            "Requests a replica is answering",
            labels=labels,
        )
        usable = GaugeMetricFamily(
            "gateway_replica_usable",
            "1 if a replica is ready and not ejected",
            labels=labels,
        )
        for upstream in self._state().upstreams.values():
            for replica in upstream.replicas:
                names = (upstream.name, str(replica.endpoint))
                requests.add_metric(names, replica.requests)
                in_flight.add_metric(names, replica.in_flight)
                usable.add_metric(names, float(_is_usable(replica)))
        yield requests
        yield in_flight
        yield usable
