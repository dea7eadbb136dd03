"""The state of keys and status lists in this process's memory."""

from collections.abc import Iterator
from datetime import timedelta

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from identity_service.usecases.keys.signing_keys import SigningKeys
from identity_service.usecases.sessions.status_entries import StatusEntries
from identity_service.usecases.status_lists import StatusLists
from service_kit.clock import Clock


class KeyMetrics(Collector):
    """The state in this process's memory; collecting it needs no I/O."""

    def __init__(
        self,
        keys: SigningKeys,
        entries: StatusEntries,
        lists: StatusLists,
        clock: Clock,
    ) -> None:
        self._keys = keys
        self._entries = entries
        self._lists = lists
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """Return the present values."""
        yield from self._of_keys()
        yield CounterMetricFamily(
            "identity_status_list_leases",
            "Blocks of status list entries taken by this process",
            self._entries.leases_taken,
        )
        yield GaugeMetricFamily(
            "identity_status_list_entries_left",
            "Entries left in this process's block",
            self._entries.left(),
        )
        sizes = GaugeMetricFamily(
            "identity_status_list_bytes",
            "Length of each status list as published",
            labels=("list",),
        )
        for name, size in self._lists.sizes().items():
            sizes.add_metric((name,), size)
        yield sizes
        expiry = GaugeMetricFamily(
            "identity_status_list_expiry_seconds",
            "How soon the first of the lists served of late expires, in seconds",
        )
        if (expires_at := self._lists.expires_at()) is not None:
            expiry.add_metric((), _seconds(expires_at - self._clock()))
        yield expiry

    def _of_keys(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "identity_signing_keys_unopened",
            "Keys that sign or are to sign and do not open here",
            len(self._keys.unopened()),
        )
        report = self._keys.report()
        if report is None:
            return
        now = self._clock()
        yield GaugeMetricFamily(
            "identity_signing_keys_published",
            "Keys in the JWKS",
            report.published,
        )
        yield GaugeMetricFamily(
            "identity_signing_key_age_seconds",
            "How long the active key has signed, in seconds",
            _seconds(now - report.activated_at),
        )
        yield GaugeMetricFamily(
            "identity_signing_keys_read_age_seconds",
            "How long ago the keys were read from the database, in seconds",
            _seconds(report.lag),
        )
        rotation = GaugeMetricFamily(
            "identity_signing_key_rotation_seconds",
            "How soon the next key signs, in seconds; negative when overdue",
        )
        if report.rotates_at is not None:
            rotation.add_metric((), _seconds(report.rotates_at - now))
        yield rotation


def _seconds(duration: timedelta) -> float:
    return duration.total_seconds()
