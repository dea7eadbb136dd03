"""What became of second factors."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, Metric

from identity_service.domain.factors import Factor
from identity_service.usecases.factors.proofs import OUTCOMES, FactorProofs


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
