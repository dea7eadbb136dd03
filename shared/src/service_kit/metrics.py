"""Count and time requests, by route."""

import time

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client import CollectorRegistry, Counter, Histogram


def request_metrics_middleware(registry: CollectorRegistry, service: str) -> Middleware:
    """Return a middleware that counts answers and times them.

    Labels are the route's pattern, never the path itself, so their number is
    bounded however many paths clients invent.
    """
    answered = Counter(
        f"{service}_requests_total",
        "Requests answered",
        ("method", "route", "status"),
        registry=registry,
    )
    duration = Histogram(
        f"{service}_request_seconds",
        "Time from the request's head to its answer's head, in seconds",
        ("route",),
        registry=registry,
    )

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        started_at = time.monotonic()
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "none"
        status = 500
        try:
            response = await handler(request)
            status = response.status
        except web.HTTPException as error:
            status = error.status
            raise
        finally:
            method = request.method if resource is not None else "other"
            answered.labels(method, route, str(status)).inc()
            duration.labels(route).observe(time.monotonic() - started_at)
        return response

    return middleware
