"""Put the service together."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import partial
from typing import Any, Final

from aiohttp import web
from prometheus_client import CollectorRegistry

from identity_service.composition import Services
from identity_service.handlers.context import SERVICES
from identity_service.handlers.late_requests import refuse_late_requests
from identity_service.handlers.problems import PROBLEMS
from identity_service.handlers.tokens.discovery import show_metadata
from identity_service.metrics.service import service_metrics
from identity_service.routes import OPERATIONS
from identity_service.settings import Settings, setting_warnings
from identity_service.storage.database_clock import DatabaseClock
from identity_service.storage.faults import database_fault
from service_kit.auth import auth_problems
from service_kit.cancelling import cancelled
from service_kit.clock import Clock
from service_kit.discovery import METADATA
from service_kit.health import Readiness
from service_kit.observability.metrics import Collected, RequestMetrics
from service_kit.observability.tracing import trace_requests
from service_kit.operations import Tag
from service_kit.requests.client_addresses import TrustedProxies
from service_kit.requests.middleware import request_middleware

BODY_LIMIT: Final = 100 * 1024
"""Bytes; the tutorial's Express app takes as much."""

_logger: Final = logging.getLogger(__name__)


def create_app(
    settings: Settings,
    *,
    readiness: Readiness | None = None,
    registry: CollectorRegistry | None = None,
    clock: Clock | None = None,
) -> web.Application:
    """Return the service, ready to run. Nothing is connected until it starts."""
    readiness, registry = readiness or Readiness(), registry or CollectorRegistry()
    problems = {**PROBLEMS, **auth_problems(tutorial_compat=settings.tutorial_compat)}
    metrics = RequestMetrics("identity")
    registry.register(metrics)
    proxies = TrustedProxies(settings.trusted_proxies)
    middleware = request_middleware(
        problems,
        metrics,
        readiness,
        is_from_gateway=lambda request: proxies.trusts(request.remote or ""),
        public_url=settings.issuer,
    )
    _warn_of_settings(settings, readiness)
    app = web.Application(
        middlewares=[middleware, refuse_late_requests],
        client_max_size=BODY_LIMIT,
    )

    async def services(app: web.Application) -> AsyncIterator[None]:
        async with Services(settings, clock=clock) as composed:
            registry.register(Collected(partial(service_metrics, composed)))
            app[SERVICES] = composed
            readiness.checks["database"] = partial(_database_fault, composed)
            readiness.warnings["writes"] = composed.database.write_warning
            readiness.checks["clock"] = composed.database_clock.fault
            readiness.warnings["clock"] = composed.database_clock.warning
            readiness.checks["roles"] = composed.roles.fault
            readiness.checks["signing_keys"] = composed.tokens.keys.fault
            readiness.warnings["signing_keys"] = composed.tokens.keys.warning
            tasks = [*map(asyncio.create_task, _background_work(composed))]
            yield
            await asyncio.gather(*map(cancelled, tasks))

    async def end_waits(app: web.Application) -> None:
        app[SERVICES].waiters.end()

    app.cleanup_ctx.append(services)
    app.on_shutdown.append(end_waits)
    app.add_routes(
        [
            each.route
            for each in OPERATIONS
            if settings.mailbox or each.tag is not Tag.DEVELOPMENT
        ]
    )
    if settings.base_path:
        metadata_path = f"{METADATA}{settings.base_path}"
        app.router.add_get(metadata_path, show_metadata.handler)
    trace_requests(app, "identity", settings.otlp_endpoint)
    return app


def _warn_of_settings(settings: Settings, readiness: Readiness) -> None:
    """Say at start and on `/readyz` which settings are dangerous or contradictory."""
    if not (reasons := list(setting_warnings(settings))):
        return
    for reason in reasons:
        _logger.warning("setting_doubtful", extra={"reason": reason})

    async def warning() -> str:
        return "; ".join(reasons)

    readiness.warnings["settings"] = warning


async def _database_fault(composed: Services) -> str | None:
    """Return why the database cannot be used; while it can't, no refresh succeeds.

    So a replica without any traffic knows of interruptions as well.
    """
    fault: str | None = "no response in time"
    try:
        fault = await database_fault(composed.engine)
    finally:
        if fault is not None:
            composed.tokens.refreshes.interruptions.note()
    return fault


def _background_work(composed: Services) -> Iterator[Coroutine[Any, Any, None]]:
    """Yield what runs beside the service until it stops."""
    clock, sender = composed.database_clock, composed.accounts.mail_sender
    yield clock.run()
    yield _once_known(clock, composed.tokens.key_rotation.run)
    yield _once_known(clock, composed.housekeeping.run)
    if sender is not None:
        yield _once_known(clock, sender.run)


async def _once_known(
    clock: DatabaseClock, job: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    """Do a job that judges by the database's time, as soon as that is known."""
    await clock.until_known()
    await job()
