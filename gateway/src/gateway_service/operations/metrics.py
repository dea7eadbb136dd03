"""The metrics of the gateway."""

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from gateway_service.config.values import METHODS
from gateway_service.http1.exchange import CLIENT_GONE, Exchange
from gateway_service.http1.server import EdgeServer
from gateway_service.operations.upstream_metrics import upstream_metrics
from gateway_service.operations.workers.control import ControlPlane
from service_kit.observability.metrics import RequestMetrics, with_samples


def method_label(exchange: Exchange) -> str:
    """Return the method where it is one of few, for metrics and spans."""
    method = exchange.request.method
    return method if exchange.route and method in METHODS else "other"


class GatewayMetrics(Collector):
    """Counts requests, and reports the state of the gateway and of its replicas."""

    def __init__(
        self,
        control: ControlPlane,
        server: EdgeServer,
        dropped_lines: Callable[[], int],
    ) -> None:
        self._control = control
        self._server = server
        self._dropped_lines = dropped_lines
        self._requests = RequestMetrics("gateway", "upstream")

    def record(self, exchange: Exchange, seconds: float) -> None:
        """Count an exchange that is over."""
        route = exchange.route or "none"
        status, upstream = exchange.status or CLIENT_GONE, exchange.upstream or "none"
        self._requests.count((method_label(exchange), route, status, upstream), seconds)
        if exchange.problem is not None:
            self._requests.count_problem(route, exchange.problem.code)

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
        limits = self._control.active.rate_limits
        yield CounterMetricFamily(
            "gateway_rate_limited", "Requests refused by a rate limit", limits.refused
        )
        yield GaugeMetricFamily(
            "gateway_rate_limit_store_away",
            "1 while this process counts alone, because the shared store does not",
            limits.is_alone,
        )
        yield from self._of_configuration()
        yield from upstream_metrics([*self._control.watches.values()])

    def _of_connections(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "gateway_client_connections",
            "Connections of clients that are open",
            len(self._server.connections),
        )
        yield GaugeMetricFamily(
            "gateway_client_connections_limit",
            "Connections of clients that there is room for",
            self._server.connection_limit,
        )
        yield CounterMetricFamily(
            "gateway_connections_refused",
            "Connections of clients refused because there were too many",
            self._server.refused,
        )
        yield CounterMetricFamily(
            "gateway_connections_shed",
            "Connections of clients without a request closed to make room for others",
            self._server.shed,
        )
        yield GaugeMetricFamily(
            "gateway_held_bytes",
            "Bytes held of the connections of clients",
            self._server.held_bytes.total,
        )
        yield CounterMetricFamily(
            "gateway_connections_cut",
            "Connections of clients cut because too much was held of all of them",
            self._server.held_bytes.cut,
        )
        yield CounterMetricFamily(
            "gateway_descriptors_exhausted",
            "Connections that failed because the process had no descriptor left",
            self._server.descriptors.exhausted,
        )

    def _of_configuration(self) -> Iterator[Metric]:
        control = self._control
        yield with_samples(
            CounterMetricFamily(
                "gateway_reloads",
                "Times the configuration was read again, by what became of it",
                labels=("result",),
            ),
            {"used": control.reloads_used, "refused": control.reloads_refused},
        )
        yield GaugeMetricFamily(
            "gateway_configuration_timestamp_seconds",
            "When the configuration in use was read, in Unix time",
            control.configured_at,
        )
        shown = control.certificate
        yield GaugeMetricFamily(
            "gateway_certificate_expiry_timestamp_seconds",
            "When the certificate shown to clients expires, in Unix time",
            None if shown is None else shown.expires_at.timestamp(),
        )
