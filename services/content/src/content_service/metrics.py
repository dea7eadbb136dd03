"""What can be watched of verification."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge

from service_kit.tokens import RemoteKeySet, RemoteStatusLists, VerifiedTokens


def watch_verification(
    registry: CollectorRegistry,
    keys: RemoteKeySet,
    lists: RemoteStatusLists,
    memory: VerifiedTokens,
) -> None:
    """Export how verification stands; each value is read when it is asked for."""
    watched: dict[str, tuple[str, Callable[[], float]]] = {
        "verification_keys": ("Keys of the issuer in use", lambda: len(keys)),
        "jwks_fetches": ("Times the JWKS was asked for", lambda: keys.fetches),
        "jwks_failures": ("Times it could not be had", lambda: keys.failures),
        "status_lists": ("Status lists kept", lambda: len(lists)),
        "status_list_fetches": ("Times one was asked for", lambda: lists.fetches),
        "status_list_failures": ("Times it could not be had", lambda: lists.failures),
        "remembered_tokens": ("Verified tokens in memory", lambda: len(memory)),
    }
    for name, (help_text, value) in watched.items():
        Gauge(f"content_{name}", help_text, registry=registry).set_function(value)
