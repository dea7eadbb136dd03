"""Status and metrics of the verification of tokens."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from service_kit.clock import Clock, rfc3339
from service_kit.observability.metrics import with_samples
from service_kit.tokens import (
    RefusalReason,
    RemoteKeySet,
    RemoteStatusLists,
    VerifiedTokens,
)


@dataclass(frozen=True, slots=True)
class Verification:
    """What tokens are verified with."""

    keys: RemoteKeySet
    lists: RemoteStatusLists
    memory: VerifiedTokens
    refused: Mapping[RefusalReason, int]
    """How many tokens were not trusted."""
    clock: Clock

    def report(self) -> dict[str, object]:
        """Return how verification stands, as JSON can hold it."""
        keys, lists = self.keys, self.lists
        expires_at = lists.expires_at
        return {
            "keys": {
                "kids": keys.kids,
                "age_seconds": _rounded(keys.age),
                "fetches": keys.fetches,
                "failures": keys.failures,
            },
            "status_lists": {
                "kept": len(lists),
                "age_seconds": _rounded(lists.age),
                "expires_at": None if expires_at is None else rfc3339(expires_at),
                "fetches": lists.fetches,
                "failures": lists.failures,
            },
            "verified_tokens": len(self.memory),
            "refused_tokens": dict(self.refused),
        }


def verification_metrics(prefix: str, state: Verification) -> Iterator[Metric]:
    """Yield how verification stands; each value is read when it is asked for."""
    keys = state.keys
    yield GaugeMetricFamily(
        f"{prefix}verification_keys", "Keys of the issuer in use", len(keys)
    )
    yield GaugeMetricFamily(
        f"{prefix}verification_keys_age_seconds",
        "Seconds since the issuer last confirmed its keys",
        _seconds(keys.age),
    )
    yield GaugeMetricFamily(
        f"{prefix}clock_ahead_seconds",
        "How far this host's clock is ahead of the issuer's, in seconds",
        _seconds(keys.clock_ahead),
    )
    yield CounterMetricFamily(
        f"{prefix}jwks_fetches", "Times the JWKS was asked for", keys.fetches
    )
    yield CounterMetricFamily(
        f"{prefix}jwks_failures", "Times it could not be had", keys.failures
    )
    yield from _of_lists(prefix, state)
    yield GaugeMetricFamily(
        f"{prefix}verified_tokens", "Verified tokens in memory", len(state.memory)
    )
    refused = CounterMetricFamily(
        f"{prefix}tokens_refused",
        "Access tokens that were not trusted, by the reason",
        labels=("reason",),
    )
    counts = {reason.value: count for reason, count in state.refused.items()}
    yield with_samples(refused, counts)


def _of_lists(prefix: str, state: Verification) -> Iterator[Metric]:
    lists = state.lists
    yield GaugeMetricFamily(f"{prefix}status_lists", "Status lists kept", len(lists))
    yield GaugeMetricFamily(
        f"{prefix}status_list_age_seconds",
        "Seconds since the status list that is oldest was confirmed",
        _seconds(lists.age),
    )
    expires_at = lists.expires_at
    yield GaugeMetricFamily(
        f"{prefix}status_list_expiry_seconds",
        "How soon the first list in use expires, in seconds; negative if it has",
        _seconds(None if expires_at is None else expires_at - state.clock()),
    )
    yield CounterMetricFamily(
        f"{prefix}status_list_fetches", "Times one was asked for", lists.fetches
    )
    yield CounterMetricFamily(
        f"{prefix}status_list_failures", "Times it could not be had", lists.failures
    )


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


def _rounded(age: timedelta | None) -> float | None:
    return None if age is None else round(age.total_seconds(), 1)
