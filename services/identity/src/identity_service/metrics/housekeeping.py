"""Metrics of the background chores."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from identity_service.usecases.housekeeping import Housekeeping


class HousekeepingMetrics(Collector):
    """The results of the last run of this process's chores."""

    def __init__(self, housekeeping: Housekeeping) -> None:
        self._housekeeping = housekeeping

    def collect(self) -> Iterator[Metric]:
        """Return the present values."""
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
        for name, state in self._housekeeping.states.items():
            backlog.add_metric((name,), state.backlog.total_seconds())
            age.add_metric((name,), self._housekeeping.age(name).total_seconds())
        yield backlog
        yield age
