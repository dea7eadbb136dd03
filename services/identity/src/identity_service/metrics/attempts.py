"""Metrics of attempts to sign in and to refresh."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from identity_service.composition import Services
from identity_service.domain.factors import Factor
from identity_service.security.breached_passwords import LookUp
from identity_service.security.password_hashing import Verdict
from identity_service.usecases.factors.proofs import OUTCOMES, FactorProofs
from service_kit.observability.metrics import with_samples


def attempt_metrics(services: Services) -> Iterator[Metric]:
    """Yield verdicts that clients do not learn, and the limits that they meet."""
    mirror = services.breached_passwords
    yield with_samples(
        CounterMetricFamily(
            "identity_password_checks",
            "Passwords checked, by verdict",
            labels=("verdict",),
        ),
        {each.value: services.passwords.verdicts[each] for each in Verdict},
    )
    yield with_samples(
        CounterMetricFamily(
            "identity_breached_password_lookups",
            "New passwords looked up among those known from leaks, by outcome",
            labels=("outcome",),
        ),
        {}
        if mirror is None
        else {each.value: mirror.outcomes[each] for each in LookUp},
    )
    yield with_samples(
        CounterMetricFamily(
            "identity_refreshes",
            "Refresh tokens presented, by what became of them",
            labels=("outcome",),
        ),
        services.tokens.refreshes.outcomes,
    )
    yield with_samples(
        CounterMetricFamily(
            "identity_throttle_limits_reached",
            "Attempts that met a limit of the throttle, by what it is of",
            labels=("limit",),
        ),
        services.throttle.reached,
    )
    yield CounterMetricFamily(
        "identity_throttle_fallbacks",
        "Checks counted in memory while Valkey did not count",
        services.counters.fallbacks,
    )
    yield GaugeMetricFamily(
        "identity_throttle_store_away",
        "1 while this process counts alone, because Valkey does not",
        services.counters.fault is not None,
    )


def factor_metrics(proofs: FactorProofs) -> Iterator[Metric]:
    """Yield what became of the second factors that this process judged."""
    judged = CounterMetricFamily(
        "identity_second_factors_judged",
        "Second factors that were right or wrong",
        labels=("factor", "outcome"),
    )
    for factor in Factor:
        for outcome in OUTCOMES:
            judged.add_metric((factor, outcome), proofs.outcomes[factor, outcome])
    yield judged
