"""Metrics of the background chores."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from identity_service.usecases.housekeeping import Housekeeping


def housekeeping_metrics(housekeeping: Housekeeping) -> Iterator[Metric]:
    """Yield the results of the last run of this process's chores."""
    backlog = GaugeMetricFamily(
        "identity_housekeeping_backlog_seconds",
        "How long the oldest removable row has been due, in seconds",
        labels=("chore",),
    )
    age = GaugeMetricFamily(
        "identity_housekeeping_age_seconds",
        "How long ago this process last did the chore with success",
        labels=("chore",),
    )
    for name, state in housekeeping.states.items():
        backlog.add_metric((name,), state.backlog.total_seconds())
        age.add_metric((name,), housekeeping.age(name).total_seconds())
    yield backlog
    yield age
