"""The metrics of the gateway."""

from collections.abc import Callable, Iterator

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from gateway_service.config.values import METHODS
from gateway_service.http1.exchange import CLIENT_GONE, Exchange
from gateway_service.http1.server import EdgeServer
from gateway_service.proxy.state import State
from gateway_service.upstreams.replica import Replica, ReplicaHealth
from service_kit.metrics import RequestMetrics


def _is_usable(replica: Replica) -> bool:
    return replica.health is ReplicaHealth.READY and not replica.ejected_until


class GatewayMetrics(Collector):
    """Counts requests, and reports the state of the gateway and of its replicas."""

    def __init__(
        self,
        state: Callable[[], State],
        server: EdgeServer,
        dropped_lines: Callable[[], int],
    ) -> None:
        self._state = state
        self._server = server
        self._dropped_lines = dropped_lines
        self._requests = RequestMetrics("gateway", "upstream")

    def record(self, exchange: Exchange, seconds: float) -> None:
        """Count an exchange that is over."""
        method, status = exchange.request.method, exchange.status or CLIENT_GONE
        self._requests.count(
            method if exchange.route and method in METHODS else "other",
            exchange.route or "none",
            status,
            seconds,
            exchange.upstream or "none",
        )

    def totals(self) -> dict[str, float]:
        """Return the requests so far and the seconds they took, for `/status`."""
        count, seconds = self._requests.totals()
        return {"count": count, "seconds": round(seconds, 3)}

    def collect(self) -> Iterator[Metric]:
        """Return the counts and states in Prometheus' form."""
        yield from self._requests.collect()
        yield from self._of_connections()
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
            "1 while this process counts alone, because the shared store is away",
            self._state().rate_limits.is_alone,
        )
        yield from self._of_upstreams()
        yield from self._of_replicas()

    def _of_connections(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "gateway_client_connections",
            "Connections of clients that are open",
            len(self._server.connections),
        )
        yield CounterMetricFamily(
            "gateway_connections_refused",
            "Connections of clients refused because there were too many",
            self._server.refused,
        )
        yield CounterMetricFamily(
            "gateway_connections_shed",
            "Idle connections of clients closed to make room for others",
            self._server.shed,
        )
        yield CounterMetricFamily(
            "gateway_descriptors_exhausted",
            "Connections that failed because the process had no descriptor left",
            self._server.descriptors.exhausted,
        )

    def _of_upstreams(self) -> Iterator[Metric]:
        hedges = CounterMetricFamily(
            "gateway_hedges",
            "Requests sent to a second replica because the first took its time",
            labels=("upstream",),
        )
        won = CounterMetricFamily(
            "gateway_hedges_won",
            "Hedges whose response came first",
            labels=("upstream",),
        )
        shed = CounterMetricFamily(
            "gateway_shed",
            "Requests refused because their upstream had too many",
            labels=("upstream",),
        )
        limits = GaugeMetricFamily(
            "gateway_upstream_limit",
            "Requests that an upstream may work on at once",
            labels=("upstream",),
        )
        for upstream in self._state().upstreams.values():
            shed.add_metric((upstream.name,), upstream.shed)
            limits.add_metric((upstream.name,), upstream.limit)
            hedges.add_metric((upstream.name,), upstream.hedges)
            won.add_metric((upstream.name,), upstream.hedges_won)
        yield hedges
        yield won
        yield shed
        yield limits

    def _of_replicas(self) -> Iterator[Metric]:
        labels = ("upstream", "replica")
        requests = CounterMetricFamily(
            "gateway_replica_requests", "Requests sent to a replica", labels=labels
        )
        in_flight = GaugeMetricFamily(
            "gateway_replica_in_flight",
            "Requests in flight on a replica",
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
