"""What became of second factors."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from identity_service.domain.factors import Factor
from identity_service.usecases.factors.proofs import OUTCOMES, FactorProofs


class FactorMetrics(Collector):
    """What became of the second factors that this process judged."""

    def __init__(self, proofs: FactorProofs) -> None:
        self._proofs = proofs

    def collect(self) -> Iterator[Metric]:
        """Return the present values."""
        judged = CounterMetricFamily(
            "identity_second_factors_judged",
            "Second factors that were right or wrong",
            labels=("factor", "outcome"),
        )
        for factor in Factor:
            for outcome in OUTCOMES:
                judged.add_metric(
                    (factor, outcome), self._proofs.outcomes[factor, outcome]
                )
        yield judged
