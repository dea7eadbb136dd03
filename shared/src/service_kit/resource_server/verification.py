"""Verification of access tokens, for services that protect resources."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import ClassVar, Final

from aiohttp import ClientSession, DummyCookieJar, TCPConnector, web
from prometheus_client import CollectorRegistry

from service_kit import settings as parse
from service_kit.auth import AUTHENTICATOR, Authenticator
from service_kit.clock import Clock, utc_now
from service_kit.health import Check, Readiness
from service_kit.observability.metrics import Collected
from service_kit.origins import origin_of
from service_kit.requests.credentials import access_token_cookie
from service_kit.resource_server.verification_state import (
    Verification,
    verification_metrics,
)
from service_kit.running.listener import ListenerSettings
from service_kit.settings import SettingsError, setting
from service_kit.tokens import (
    CopiesOnDisk,
    RemoteKeySet,
    RemoteStatusLists,
    TokenVerifier,
    VerifiedTokens,
)

VERIFICATION: Final = web.AppKey("VERIFICATION", Verification)
"""There once the application has started."""

_NO_LIMIT: Final = 0
"""Of connections: each document has one request at a time, which may wait for a change
for as long as its ``ttl``, and the keys must not wait for that."""

_NO_STATUS_LISTS: Final = (
    "{prefix}STATUS_LIST_URLS is not set, and without it no revoked token is known; "
    "to do without, set {prefix}REQUIRE_STATUS=false"
)


def prefix_map(value: str) -> dict[str, str]:
    """Accept ``public-prefix=fetch-prefix`` entries separated by commas."""
    prefixes: dict[str, str] = {}
    for entry in parse.comma_list(value):
        public, separator, fetched = entry.partition("=")
        if not separator:
            raise ValueError("has an entry that is not public-prefix=fetch-prefix")
        prefixes[parse.http_url(public)] = parse.http_url(fetched)
    return prefixes


@dataclass(frozen=True, kw_only=True)
class VerificationSettings(ListenerSettings):
    """The settings of a service that verifies access tokens; each redeclares its ports.

    A subclass has a ``prefix``, which begins the names of all of them.
    """

    prefix: ClassVar[str]

    issuer: str = setting(parse.http_url, description="exact iss of access tokens")
    audience: str = setting(default="content", description="aud of access tokens")
    access_token_type: str = setting(
        parse.one_of("at+jwt", "JWT"),
        default="at+jwt",
        description="typ of access tokens, as the issuer is set to",
    )
    clock_skew: timedelta = setting(
        parse.seconds(0, 60),
        default="30",
        description="seconds by which the issuer's clock may differ",
    )
    jwks_url: str = setting(
        parse.http_url, description="where the issuer's keys are fetched"
    )
    status_list_urls: dict[str, str] = setting(
        prefix_map,
        default="",
        description="public-prefix=fetch-prefix list: where status lists are fetched",
    )
    require_status: bool = setting(
        parse.boolean,
        default="true",
        description="false lets tokens pass that name no status list",
    )
    status_list_fail_open: bool = setting(
        parse.boolean,
        default="false",
        description="true lets tokens pass while no current status list can be had",
    )
    copies_folder: Path | None = setting(
        Path,
        optional=True,
        description="keeps keys and lists for a start while the issuer is away",
    )
    cookie_secure: bool = setting(
        parse.boolean,
        default="true",
        description="false reads the cookie of plain HTTP, as the issuer is set to",
    )
    allowed_origins: tuple[str, ...] = setting(
        parse.origins,
        default="",
        description="origins whose pages may use the cookie for unsafe methods",
    )
    tutorial_compat: bool = setting(
        parse.boolean,
        default="false",
        description="what only the tutorial's clients need; see docs/tutorial.md",
        variable="TUTORIAL_COMPAT",
    )

    def __post_init__(self) -> None:
        """Refuse settings under which no token could pass."""
        if self.require_status and not self.status_list_urls:
            raise SettingsError([_NO_STATUS_LISTS.format(prefix=self.prefix)])


def verify_tokens(
    app: web.Application,
    settings: VerificationSettings,
    readiness: Readiness,
    registry: CollectorRegistry,
    *,
    clock: Clock = utc_now,
    memory: VerifiedTokens | None = None,
) -> None:
    """Have the application's `protected` handlers verify access tokens.

    Nothing is fetched before the application starts, and its start does not wait for
    keys and status lists: until they are there, ``readiness`` has a fault and protected
    requests get 503.
    """
    verified = VerifiedTokens() if memory is None else memory

    async def verification(app: web.Application) -> AsyncIterator[None]:
        folder = settings.copies_folder
        copies = None if folder is None else CopiesOnDisk(folder)
        async with (
            ClientSession(
                connector=TCPConnector(limit=_NO_LIMIT), cookie_jar=DummyCookieJar()
            ) as session,
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
                statuses=statuses if settings.status_list_urls else None,
                require_status=settings.require_status,
                clock_skew=settings.clock_skew,
                clock=clock,
                media_type=settings.access_token_type,
                memory=verified,
            )
            app[AUTHENTICATOR] = Authenticator(
                verifier,
                cookie=access_token_cookie(secure=settings.cookie_secure),
                own_origins=(origin_of(settings.issuer), *settings.allowed_origins),
                clock=clock,
            )
            readiness.checks["keys"] = _check(keys.fault)
            if settings.require_status:
                readiness.checks["status_lists"] = _check(statuses.fault)
            refused = app[AUTHENTICATOR].refused
            state = Verification(keys, statuses, verified, refused, clock)
            app[VERIFICATION] = state
            collect = partial(verification_metrics, settings.prefix.lower(), state)
            registry.register(Collected(collect))
            yield

    app.cleanup_ctx.append(verification)


def _check(fault: Callable[[], str | None]) -> Check:
    """Return a readiness check that asks what is in memory."""

    async def ask() -> str | None:
        return fault()

    return ask
