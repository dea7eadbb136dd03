"""All metrics of identity itself."""

from collections.abc import Iterator

from prometheus_client.core import Metric

from identity_service.composition import Services
from identity_service.metrics.attempts import attempt_metrics, factor_metrics
from identity_service.metrics.keys import key_metrics, status_list_metrics
from identity_service.metrics.work import (
    database_metrics,
    hashing_metrics,
    housekeeping_metrics,
    mail_metrics,
    waiting_metrics,
)


def service_metrics(services: Services) -> Iterator[Metric]:
    """Yield what this process counts and holds."""
    tokens, clock = services.tokens, services.clock
    pool_size = services.settings.database_pool_size
    yield from housekeeping_metrics(services.housekeeping)
    yield from mail_metrics(services.accounts.mail_sender)
    yield from factor_metrics(services.factors.proofs)
    yield from key_metrics(tokens.keys, clock)
    yield from status_list_metrics(tokens.status_entries, tokens.status_lists, clock)
    yield from attempt_metrics(services)
    yield from database_metrics(services.database, services.database_clock, pool_size)
    yield from hashing_metrics(services.hasher)
    yield from waiting_metrics(services.waiters)
