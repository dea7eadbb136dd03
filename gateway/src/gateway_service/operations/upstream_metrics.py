"""The metrics of upstreams and of their replicas."""

from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from gateway_service.upstreams.replica import ReplicaHealth
from gateway_service.upstreams.upstream import Upstream
from gateway_service.upstreams.watching.watching import Watch
from service_kit.observability.metrics import with_samples

_COUNTERS: Final = {
    "retries": "Requests sent to another replica because one had failed",
    "hedges": "Requests sent to a second replica because the first took its time",
    "hedges_won": "Hedges whose response came first",
    "shed": "Requests refused because their upstream had too many",
    "ejections": "Times a replica was ejected because requests to it had failed",
}
"""Of an upstream, by its attribute; the metric is called `gateway_` and that."""


def upstream_metrics(watches: list[Watch]) -> Iterator[Metric]:
    """Return the state of upstreams in Prometheus' form."""
    upstreams = [watch.upstream for watch in watches]
    for name, text in _COUNTERS.items():
        counter = CounterMetricFamily(f"gateway_{name}", text, labels=("upstream",))
        yield with_samples(
            counter, {each.name: getattr(each, name) for each in upstreams}
        )
    yield _gauge(
        "gateway_upstream_in_flight",
        "Requests in flight on an upstream",
        {each.name: each.in_flight for each in upstreams},
    )
    yield _gauge(
        "gateway_upstream_limit",
        "Requests that an upstream may work on at once",
        {each.name: each.limit for each in upstreams},
    )
    yield _gauge(
        "gateway_upstream_retries_left",
        "Retries and hedges that the budget of an upstream allows now",
        {each.name: each.retry_budget.balance for each in upstreams},
    )
    yield from _failures_and_probes(upstreams)
    yield _connections(upstreams)
    yield _gauge(
        "gateway_upstream_names_unresolved",
        "Names of an upstream's addresses that could not be resolved last time",
        {watch.upstream.name: len(watch.faults) for watch in watches},
    )
    yield from _replicas(upstreams)


def _gauge(name: str, text: str, values: Mapping[str, float]) -> Metric:
    return with_samples(GaugeMetricFamily(name, text, labels=("upstream",)), values)


def _failures_and_probes(upstreams: list[Upstream]) -> Iterator[Metric]:
    failures = CounterMetricFamily(
        "gateway_upstream_failures",
        "Requests that failed on a replica, retried or not",
        labels=("upstream", "failure"),
    )
    probes = CounterMetricFamily(
        "gateway_probes",
        "Probes of replicas, by what they found; the first worker counts those of all",
        labels=("upstream", "result"),
    )
    for upstream in upstreams:
        for failure, count in upstream.failures.items():
            failures.add_metric((upstream.name, failure.value), count)
        for result, count in upstream.probes.items():
            probes.add_metric((upstream.name, result.value), count)
    yield failures
    yield probes


def _connections(upstreams: list[Upstream]) -> Metric:
    connections = GaugeMetricFamily(
        "gateway_upstream_connections",
        "Open connections to the replicas of an upstream",
        labels=("upstream", "state"),
    )
    for upstream in upstreams:
        pools = [replica.pool for replica in upstream.replicas]
        idle = sum(pool.idle for pool in pools)
        total = sum(pool.connections for pool in pools)
        connections.add_metric((upstream.name, "idle"), idle)
        connections.add_metric((upstream.name, "busy"), total - idle)
    return connections


def _replicas(upstreams: list[Upstream]) -> Iterator[Metric]:
    labels = ("upstream", "replica")
    requests = CounterMetricFamily(
        "gateway_replica_requests", "Requests sent to a replica", labels=labels
    )
    in_flight = GaugeMetricFamily(
        "gateway_replica_in_flight", "Requests in flight on a replica", labels=labels
    )
    usable = GaugeMetricFamily(
        "gateway_replica_usable",
        "1 if a replica is ready and not ejected",
        labels=labels,
    )
    for upstream in upstreams:
        for replica in upstream.replicas:
            names = (upstream.name, str(replica.endpoint))
            requests.add_metric(names, replica.requests)
            in_flight.add_metric(names, replica.in_flight)
            is_ready = replica.health is ReplicaHealth.READY
            usable.add_metric(names, is_ready and not replica.ejected_until)
    yield requests
    yield in_flight
    yield usable
