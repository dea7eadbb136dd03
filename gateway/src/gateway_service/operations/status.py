"""The content of `/status` on the internal port."""

from datetime import UTC, datetime

from gateway_service.config.values import NO_LIMIT
from gateway_service.operations.tls import Certificate
from gateway_service.operations.workers.control import ControlPlane
from gateway_service.proxy.routing import Route
from gateway_service.upstreams.replica import Replica
from gateway_service.upstreams.upstream import Upstream
from gateway_service.upstreams.watching.watching import Watch
from service_kit.clock import rfc3339


def status_of(control: ControlPlane) -> dict[str, object]:
    """Return routes, upstreams, replicas and limits as JSON can hold them."""
    active = control.active
    return {
        "configuration": {
            "read_at": rfc3339(datetime.fromtimestamp(control.configured_at, UTC)),
            "reloads_used": control.reloads_used,
            "reloads_refused": control.reloads_refused,
        },
        "certificate": _certificate(control.certificate),
        "routes": [_route(route) for route in active.routes],
        "upstreams": {name: _upstream(w) for name, w in control.watches.items()},
        "rate_limits": {
            "store": active.rate_limits.place if active.config.rate_limits else "off",
            "counting_alone": active.rate_limits.is_alone,
            "refused": active.rate_limits.refused,
        },
    }


def _certificate(certificate: Certificate | None) -> dict[str, object] | None:
    if certificate is None:
        return None
    return {
        "file": certificate.config.certificate,
        "expires_at": rfc3339(certificate.expires_at),
    }


def _route(route: Route) -> dict[str, object]:
    limit = route.rate_limit
    total = route.timeouts.total
    return {
        "prefix": route.prefix,
        "upstream": route.upstream,
        "methods": sorted(route.methods),
        "body_limit": route.body_limit,
        "timeouts": {
            "connect": route.timeouts.connect,
            "response_head": route.timeouts.response_head,
            "idle": route.timeouts.idle,
            "total": None if total == NO_LIMIT else total,
        },
        "rate_limit": limit and f"{limit.requests} in {limit.seconds} s",
    }


def _upstream(watch: Watch) -> dict[str, object]:
    upstream = watch.upstream
    return {
        "in_flight": upstream.in_flight,
        "max_in_flight": upstream.config.max_in_flight,
        "concurrency": upstream.config.concurrency.value,
        "limit": None if upstream.limit == NO_LIMIT else round(upstream.limit, 1),
        "shed": upstream.shed,
        "retries": upstream.retries,
        "hedges": upstream.hedges,
        "balance": upstream.config.balance.value,
        "retries_left": int(upstream.retry_budget.balance),
        "unresolved": dict(watch.faults),
        "replicas": [_replica(upstream, each) for each in upstream.replicas],
    }


def _replica(upstream: Upstream, replica: Replica) -> dict[str, object]:
    return {
        "address": str(replica.endpoint),
        "readiness": replica.health.value,
        "in_flight": replica.in_flight,
        "requests": replica.requests,
        "failures_in_a_row": replica.failures,
        "ejected_for": round(upstream.ejected_for(replica), 1),
        "ejections": replica.ejections,
        "share": round(replica.share, 2),
    }
