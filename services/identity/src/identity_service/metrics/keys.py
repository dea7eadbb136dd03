"""The state of keys and status lists in this process's memory."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from identity_service.usecases.keys.signing_keys import SigningKeys
from identity_service.usecases.sessions.status_entries import StatusEntries
from identity_service.usecases.status_lists import StatusLists
from service_kit.clock import Clock


def key_metrics(keys: SigningKeys, clock: Clock) -> Iterator[Metric]:
    """Yield the state of the keys in this process's memory."""
    yield GaugeMetricFamily(
        "identity_signing_keys_unopened",
        "Keys that sign or are to sign and do not open here",
        len(keys.unopened()),
    )
    report = keys.report()
    if report is None:
        return
    now = clock()
    yield GaugeMetricFamily(
        "identity_signing_keys_published", "Keys in the JWKS", report.published
    )
    yield GaugeMetricFamily(
        "identity_signing_key_age_seconds",
        "How long the active key has signed, in seconds",
        (now - report.activated_at).total_seconds(),
    )
    yield GaugeMetricFamily(
        "identity_signing_keys_read_age_seconds",
        "How long ago the keys were read from the database, in seconds",
        report.lag.total_seconds(),
    )
    rotation = GaugeMetricFamily(
        "identity_signing_key_rotation_seconds",
        "How soon the next key signs, in seconds; negative when overdue",
    )
    if report.rotates_at is not None:
        rotation.add_metric((), (report.rotates_at - now).total_seconds())
    yield rotation


def status_list_metrics(
    entries: StatusEntries, lists: StatusLists, clock: Clock
) -> Iterator[Metric]:
    """Yield the state of status lists in this process's memory."""
    yield CounterMetricFamily(
        "identity_status_list_leases",
        "Blocks of status list entries taken by this process",
        entries.leases_taken,
    )
    yield GaugeMetricFamily(
        "identity_status_list_entries_left",
        "Entries left in this process's block",
        entries.left(),
    )
    sizes = GaugeMetricFamily(
        "identity_status_list_bytes",
        "Length of each status list as published",
        labels=("list",),
    )
    for name, size in lists.sizes().items():
        sizes.add_metric((name,), size)
    yield sizes
    expiry = GaugeMetricFamily(
        "identity_status_list_expiry_seconds",
        "How soon the first of the lists served of late expires, in seconds",
    )
    if (expires_at := lists.expires_at()) is not None:
        expiry.add_metric((), (expires_at - clock()).total_seconds())
    yield expiry
