"""Put the service together."""

from collections.abc import AsyncIterator, Callable

from aiohttp import ClientSession, DummyCookieJar, web
from prometheus_client import CollectorRegistry

from content_service.handlers import resources
from content_service.metrics import watch_verification
from content_service.settings import Settings
from service_kit.auth import AUTHENTICATOR, Authenticator, auth_problems
from service_kit.clock import Clock, utc_now
from service_kit.credentials import access_token_cookie
from service_kit.health import Check, Readiness
from service_kit.metrics import RequestMetrics
from service_kit.middleware import request_middleware
from service_kit.tokens import (
    CopiesOnDisk,
    RemoteKeySet,
    RemoteStatusLists,
    TokenVerifier,
    VerifiedTokens,
)


def create_app(
    settings: Settings,
    readiness: Readiness,
    registry: CollectorRegistry,
    *,
    clock: Clock = utc_now,
    memory: VerifiedTokens | None = None,
) -> web.Application:
    """Return the service, ready to run. It fetches nothing until it starts.

    Starting does not wait for keys and status lists: until they are there,
    ``readiness`` has a fault and protected requests get 503.
    """
    problems = auth_problems(tutorial_compat=settings.tutorial_compat)
    metrics = RequestMetrics("content")
    registry.register(metrics)
    verified = VerifiedTokens() if memory is None else memory

    async def verification(app: web.Application) -> AsyncIterator[None]:
        folder = settings.copies_folder
        copies = None if folder is None else CopiesOnDisk(folder)
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
            verifier = TokenVerifier(
                keys,
                issuer=settings.issuer,
                audience=settings.audience,
                statuses=statuses,
                require_status=settings.require_status,
                clock_skew=settings.clock_skew,
                clock=clock,
                media_type=settings.access_token_type,
                memory=verified,
            )
            app[AUTHENTICATOR] = Authenticator(
                verifier,
                cookie=access_token_cookie(secure=settings.cookie_secure),
                clock=clock,
            )
            readiness.checks["keys"] = _check(keys.fault)
            if settings.require_status:
                readiness.checks["status_lists"] = _check(statuses.fault)
            watch_verification(registry, keys, statuses, verified)
            yield

    app = web.Application(
        middlewares=[
            request_middleware(problems, metrics, readiness, public_url=settings.issuer)
        ]
    )
    app.cleanup_ctx.append(verification)
    app.add_routes([each.route for each in resources.OPERATIONS])
    return app


def _check(fault: Callable[[], str | None]) -> Check:
    """Return a readiness check that asks what is in memory."""

    async def ask() -> str | None:
        return fault()

    return ask
