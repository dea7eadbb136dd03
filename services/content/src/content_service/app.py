"""Put the service together."""

from aiohttp import web
from prometheus_client import CollectorRegistry

from content_service.handlers import resources
from content_service.settings import Settings
from service_kit.auth import auth_problems
from service_kit.clock import Clock, utc_now
from service_kit.health import Readiness
from service_kit.observability.metrics import RequestMetrics
from service_kit.requests.middleware import request_middleware
from service_kit.resource_server.verification import verify_tokens
from service_kit.tokens import VerifiedTokens


def create_app(
    settings: Settings,
    readiness: Readiness,
    registry: CollectorRegistry,
    *,
    clock: Clock = utc_now,
    memory: VerifiedTokens | None = None,
) -> web.Application:
    """Return the service, ready to run. It fetches nothing until it starts."""
    problems = auth_problems(tutorial_compat=settings.tutorial_compat)
    metrics = RequestMetrics("content")
    registry.register(metrics)
    app = web.Application(
        middlewares=[
            request_middleware(problems, metrics, readiness, public_url=settings.issuer)
        ]
    )
    verify_tokens(app, settings, readiness, registry, clock=clock, memory=memory)
    app.add_routes([each.route for each in resources.OPERATIONS])
    return app
