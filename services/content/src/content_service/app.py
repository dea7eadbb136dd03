"""Put the service together."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import ClientSession, DummyCookieJar
from prometheus_client import CollectorRegistry

from content_service.metrics import watch_verification
from content_service.server import ContentServer
from content_service.settings import Settings
from service_kit.auth import auth_problems
from service_kit.clock import Clock, utc_now
from service_kit.credentials import access_token_cookie
from service_kit.health import Check, Readiness
from service_kit.metrics import RequestMetrics
from service_kit.tokens import (
    CopiesOnDisk,
    RemoteKeySet,
    RemoteStatusLists,
    TokenVerifier,
    VerifiedTokens,
)


@asynccontextmanager
async def content_server(
    settings: Settings,
    readiness: Readiness,
    registry: CollectorRegistry,
    *,
    clock: Clock = utc_now,
    memory: VerifiedTokens | None = None,
) -> AsyncIterator[ContentServer]:
    """Give the server of all requests, for as long as keys and lists are kept fresh.

    It does not wait for them: until they are there, ``readiness`` has a fault and
    protected requests are told 503.
    """
    folder = settings.copies_folder
    copies = None if folder is None else CopiesOnDisk(folder)
    remembered = VerifiedTokens() if memory is None else memory
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
            memory=remembered,
        )
        readiness.checks["keys"] = _check(keys.fault)
        if settings.require_status:
            readiness.checks["status_lists"] = _check(statuses.fault)
        watch_verification(registry, keys, statuses, remembered)
        metrics = RequestMetrics("content")
        registry.register(metrics)
        server = ContentServer(
            verifier,
            auth_problems(tutorial_compat=settings.tutorial_compat),
            metrics,
            readiness,
            cookie=access_token_cookie(secure=settings.cookie_secure),
        )
        try:
            yield server
        finally:
            server.deadlines.close()


def _check(fault: Callable[[], str | None]) -> Check:
    """Return the readiness check that asks what is kept in memory."""

    async def ask() -> str | None:
        return fault()

    return ask
