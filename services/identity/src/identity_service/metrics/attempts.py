"""Metrics of attempts to sign in and to refresh."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from identity_service.security.breached_passwords import BreachedPasswords, LookUp
from identity_service.security.password_hashing import Verdict
from identity_service.storage.throttle_counters import StoreCounters, ValkeyCounters
from identity_service.usecases.limits.throttling import Throttle
from identity_service.usecases.passwords import Passwords
from identity_service.usecases.sessions.refresh import Refreshes
from service_kit.observability.metrics import with_samples


def attempt_metrics(
    passwords: Passwords,
    breached_passwords: BreachedPasswords | None,
    refreshes: Refreshes,
    throttle: Throttle,
    counters: StoreCounters | ValkeyCounters,
) -> Iterator[Metric]:
    """Yield verdicts that clients do not learn, and the limits that they meet."""
    yield with_samples(
        CounterMetricFamily(
            "identity_password_checks",
            "Passwords checked, by verdict",
            labels=("verdict",),
        ),
        {each.value: passwords.verdicts[each] for each in Verdict},
    )
    yield with_samples(
        CounterMetricFamily(
            "identity_breached_password_lookups",
            "New passwords looked up among those known from leaks, by outcome",
            labels=("outcome",),
        ),
        {}
        if breached_passwords is None
        else {each.value: breached_passwords.outcomes[each] for each in LookUp},
    )
    yield with_samples(
        CounterMetricFamily(
            "identity_refreshes",
            "Refresh tokens presented, by what became of them",
            labels=("outcome",),
        ),
        refreshes.outcomes,
    )
    yield with_samples(
        CounterMetricFamily(
            "identity_throttle_limits_reached",
            "Attempts that met a limit of the throttle, by what it is of",
            labels=("limit",),
        ),
        throttle.reached,
    )
    yield CounterMetricFamily(
        "identity_throttle_fallbacks",
        "Checks counted in memory because Valkey did not respond",
        counters.fallbacks,
    )
    yield GaugeMetricFamily(
        "identity_throttle_store_away",
        "1 while this process counts alone, because Valkey is away",
        counters.fault is not None,
    )
