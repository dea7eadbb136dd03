"""Put the service together."""

from collections.abc import AsyncIterator, Callable

from aiohttp import ClientSession, DummyCookieJar, web
from prometheus_client import CollectorRegistry

from content_service.metrics import watch_verification
from content_service.routes import ROUTES
from content_service.settings import Settings
from service_kit.auth import ACCESS_TOKEN_COOKIE, TOKEN_VERIFIER, auth_problems
from service_kit.clock import Clock, utc_now
from service_kit.credentials import access_token_cookie
from service_kit.errors import problem_middleware
from service_kit.health import Check, Readiness
from service_kit.metrics import request_metrics_middleware
from service_kit.tokens import (
    CopiesOnDisk,
    RemoteKeySet,
    RemoteStatusLists,
    TokenVerifier,
    VerifiedTokens,
)


def check(fault: Callable[[], str | None]) -> Check:
    """Return the readiness check that asks what is kept in memory."""

    async def ask() -> str | None:
        return fault()

    return ask


def create_app(
    settings: Settings,
    readiness: Readiness,
    registry: CollectorRegistry,
    *,
    clock: Clock = utc_now,
    memory: VerifiedTokens | None = None,
) -> web.Application:
    """Return the service, ready to run. Nothing is fetched until it starts."""
    remembered = VerifiedTokens() if memory is None else memory

    async def verify_tokens(app: web.Application) -> AsyncIterator[None]:
        copies = (
            CopiesOnDisk(settings.copies_folder) if settings.copies_folder else None
        )
        async with (
            ClientSession(cookie_jar=DummyCookieJar()) as session,
            RemoteKeySet(settings.jwks_url, session, copies=copies) as keys,
            RemoteStatusLists(
                settings.status_list_urls,
                keys,
                session,
                fail_open=settings.status_list_fail_open,
                clock=clock,
                copies=copies,
            ) as statuses,
        ):
            app[TOKEN_VERIFIER] = TokenVerifier(
                keys,
                issuer=settings.issuer,
                audience=settings.audience,
                statuses=statuses,
                require_status=settings.require_status,
                clock_skew=settings.clock_skew,
                clock=clock,
                media_type=settings.access_token_type,
                memory=remembered,
            )
            watch_verification(registry, keys, statuses, remembered)
            readiness.checks["keys"] = check(keys.fault)
            if settings.require_status:
                readiness.checks["status_lists"] = check(statuses.fault)
            yield

    app = web.Application(
        middlewares=[
            problem_middleware(auth_problems(tutorial_compat=settings.tutorial_compat)),
            request_metrics_middleware(registry, "content"),
        ]
    )
    app[ACCESS_TOKEN_COOKIE] = access_token_cookie(secure=settings.cookie_secure)
    app.cleanup_ctx.append(verify_tokens)
    app.add_routes(ROUTES)
    return app
