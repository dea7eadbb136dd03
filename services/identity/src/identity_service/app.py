"""Put the service together."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any, Final

from aiohttp import web
from prometheus_client import CollectorRegistry

from identity_service.app_keys import (
    ACCOUNTS,
    AUDIT,
    CLIENT_ADDRESSES,
    INTROSPECTION_CLIENTS,
    METADATA,
    PRESENTED_TOKENS,
    ROLES,
    SESSIONS,
    SIGNING_KEYS,
    STATUS_LISTS,
    TOKEN_TRANSPORT,
    TRUSTED_PAGES,
    USERS,
)
from identity_service.composition import compose
from identity_service.handlers.cookies import TokenTransport, Transport
from identity_service.handlers.metadata import issuer_metadata
from identity_service.handlers.origins import ClientAddresses, TrustedPages
from identity_service.handlers.problems import PROBLEMS
from identity_service.routes import ROUTES
from identity_service.settings import Settings
from identity_service.storage import schema
from identity_service.storage.faults import database_fault
from service_kit.auth import ACCESS_TOKEN_COOKIE, TOKEN_VERIFIER, auth_problems
from service_kit.clock import Clock, utc_now
from service_kit.credentials import access_token_cookie
from service_kit.health import Readiness
from service_kit.metrics import request_metrics_middleware
from service_kit.problems import problem_middleware

BODY_LIMIT: Final = 100 * 1024
"""Bytes; the tutorial's Express app takes as much."""


def create_app(
    settings: Settings,
    *,
    readiness: Readiness | None = None,
    registry: CollectorRegistry | None = None,
    clock: Clock = utc_now,
) -> web.Application:
    """Return the service, ready to run. Nothing is connected until it starts."""
    registry = registry or CollectorRegistry()
    problems = {**PROBLEMS, **auth_problems(tutorial_compat=settings.tutorial_compat)}
    app = web.Application(
        middlewares=[
            problem_middleware(problems),
            request_metrics_middleware(registry, "identity"),
        ],
        client_max_size=BODY_LIMIT,
    )
    app[CLIENT_ADDRESSES] = ClientAddresses(settings.trusted_proxies)
    app[INTROSPECTION_CLIENTS] = settings.introspection_clients
    app[METADATA] = issuer_metadata(settings.issuer)
    app[TRUSTED_PAGES] = TrustedPages(settings.allowed_origins)
    app[ACCESS_TOKEN_COOKIE] = access_token_cookie(secure=settings.cookie_secure)
    app[TOKEN_TRANSPORT] = _transport(settings)

    async def use_cases(app: web.Application) -> AsyncIterator[None]:
        composed = compose(settings, registry, clock=clock)
        app[ACCOUNTS] = composed.accounts
        app[SESSIONS] = composed.sessions
        app[USERS] = composed.users
        app[ROLES] = composed.roles
        app[TOKEN_VERIFIER] = composed.verifier
        app[AUDIT] = composed.audit
        app[PRESENTED_TOKENS] = composed.presented_tokens
        app[SIGNING_KEYS] = composed.keys
        app[STATUS_LISTS] = composed.status_lists
        if readiness is not None:
            known = await asyncio.to_thread(schema.known_versions)
            readiness.checks["database"] = partial(
                database_fault, composed.engine, known
            )
            readiness.checks["roles"] = composed.roles.fault
            readiness.checks["signing_keys"] = composed.keys.fault
            readiness.warnings["signing_keys"] = composed.keys.warning
        async with (
            _running(composed.key_rotation.run),
            _running(composed.housekeeping.run),
        ):
            yield
        await composed.close()

    app.cleanup_ctx.append(use_cases)
    app.add_routes(ROUTES)
    return app


def _transport(settings: Settings) -> TokenTransport:
    transport = settings.token_transport
    return TokenTransport(
        transport=Transport.BOTH if settings.tutorial_compat else transport,
        secure=settings.cookie_secure,
        session_lifetime=settings.session_lifetime,
    )


@contextlib.asynccontextmanager
async def _running(
    work: Callable[[], Coroutine[Any, Any, None]],
) -> AsyncIterator[None]:
    """Run ``work`` beside the service, and cancel it when the service stops."""
    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
