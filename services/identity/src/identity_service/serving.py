"""Serve requests until the process is stopped."""

from prometheus_client import CollectorRegistry

from identity_service.app import create_app
from identity_service.handlers.context import SERVICES
from identity_service.settings import Settings
from identity_service.status import status_of
from service_kit.health import Readiness
from service_kit.running.internal_app import create_internal_app
from service_kit.running.server import app_runner, serve


async def serve_requests(settings: Settings) -> None:
    """Serve both ports."""
    readiness, registry = Readiness(), CollectorRegistry()
    app = create_app(settings, readiness=readiness, registry=registry)

    async def status() -> dict[str, object]:
        return await status_of(app[SERVICES])

    internal_app = create_internal_app("identity", readiness, registry, status)
    runner = app_runner(app, settings)
    await serve(runner, internal_app, readiness, settings)
