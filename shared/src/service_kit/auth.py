"""Authenticate and authorise requests by their access tokens."""

import functools
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from http import HTTPStatus
from typing import Final, TypeVar

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from service_kit.clock import Clock, utc_now
from service_kit.problems import Problem, ProblemTable, common
from service_kit.requests.credentials import (
    Credentials,
    MalformedCredentialsError,
    read_access_token,
    read_header_token,
)
from service_kit.requests.csrf import CrossSiteRequestError, CsrfGuard
from service_kit.requests.refused_tokens import RefusedTokens
from service_kit.tokens import (
    ASSURANCE,
    AccessClaims,
    InvalidTokenError,
    KeysUnavailableError,
    RefusalReason,
    StatusUnavailableError,
    TokenVerifier,
)
from service_kit.tokens.refresher import one_deadline
from service_kit.tokens.verifier import MAX_CLOCK_SKEW

T = TypeVar("T")

RETRY_AFTER_SECONDS: Final = 5
"""About how long it takes until the issuer is asked again."""


class MissingTokenError(Exception):
    """The request carries no access token."""


class MissingRoleError(Exception):
    """The caller lacks the role that this resource requires."""

    def __init__(self, role: str) -> None:
        super().__init__(role)
        self.role = role


class InsufficientAuthenticationError(Exception):
    """The caller has to reauthenticate, or to use more factors."""

    def __init__(self, *, fresh: int | None, factors: int) -> None:
        super().__init__(fresh, factors)
        self.fresh = fresh
        self.factors = factors


class Authenticator:
    """Verifies the access token of a request, from a header or from one cookie.

    A cookie counts for an unsafe method only if a page of ``own_origins`` or of this
    site made the request.
    """

    def __init__(
        self,
        verifier: TokenVerifier,
        *,
        cookie: str,
        own_origins: Iterable[str],
        clock: Clock = utc_now,
    ) -> None:
        self._verifier = verifier
        self._cookie = cookie
        self._csrf_guard = CsrfGuard(own_origins)
        self.clock = clock
        self.refused: Counter[RefusalReason] = Counter()
        """Access tokens of `protected` handlers' requests that were not trusted."""

    def claims(self, request: web.BaseRequest) -> Awaitable[AccessClaims]:
        """Return the claims of the request's access token.

        Raises `MissingTokenError`, `MalformedCredentialsError`, `InvalidTokenError`:
        there is none, there is not exactly one, or it is not to be trusted;
        `CrossSiteRequestError`: it is in a cookie, and another site's page may have
        made the request; `KeysUnavailableError`, `StatusUnavailableError`: it cannot be
        verified now.
        """
        if untrusted_token := read_header_token(request.headers):
            return self._verifier.verify(untrusted_token)
        credentials = read_access_token(request.headers, cookie=self._cookie)
        if credentials is None:
            raise MissingTokenError
        self._csrf_guard.check(credentials, request.method, request.headers)
        return verify_one(self._verifier.verify, credentials)


def verify_one(
    verify: Callable[[str], Awaitable[T]], credentials: Credentials
) -> Awaitable[T]:
    """Return the result of ``verify`` for the first token that it accepts.

    All of them together wait for keys and lists no longer than one would.

    Raises `InvalidTokenError`: none is to be trusted; `KeysUnavailableError`,
    `StatusUnavailableError`: none is known to be, and at least one cannot be verified
    now.
    """
    if len(credentials.untrusted_tokens) == 1:
        return verify(credentials.untrusted_tokens[0])
    return _verify_each(verify, credentials.untrusted_tokens)


async def _verify_each(
    verify: Callable[[str], Awaitable[T]], untrusted_tokens: tuple[str, ...]
) -> T:
    refusal: Exception = InvalidTokenError("there is no token")
    with one_deadline():
        for number, untrusted_token in enumerate(untrusted_tokens):
            try:
                return await verify(untrusted_token)
            except InvalidTokenError as error:
                refusal = refusal if number else error
            except (KeysUnavailableError, StatusUnavailableError) as error:
                refusal = error
    raise refusal


AUTHENTICATOR: Final = web.AppKey("AUTHENTICATOR", Authenticator)
"""Authenticates the requests of `protected` handlers."""

_CALLER: Final = web.RequestKey("caller", AccessClaims)

_NO_STORE: Final = "no-store"


def protected(
    *, role: str | None = None, fresh: int | None = None, factors: int = 0
) -> Callable[[Handler], Handler]:
    """Return a decorator that requires an access token, and the role if one is named.

    ``fresh`` is the greatest age of the caller's authentication in seconds, ``factors``
    how many factors it needs, 1 or 2. Otherwise tokens need not name them.

    The handler gets the claims from `caller`. No cache may store its response, unless
    the handler itself says so; a handler that prepares a response of its own says so
    itself.
    """
    demands = _Demands(role, fresh, factors)

    def decorate(handler: Handler) -> Handler:
        @functools.wraps(handler)
        async def guarded(request: web.Request) -> web.StreamResponse:
            authenticator = request.app[AUTHENTICATOR]
            try:
                claims = await authenticator.claims(request)
            except InvalidTokenError as error:
                authenticator.refused[error.reason] += 1
                raise
            demands.check(claims, authenticator.clock)
            request[_CALLER] = claims
            response = await handler(request)
            response.headers.setdefault(hdrs.CACHE_CONTROL, _NO_STORE)
            return response

        return guarded

    return decorate


@dataclass(frozen=True, slots=True)
class _Demands:
    """What a handler requires of its caller."""

    role: str | None
    fresh: int | None
    factors: int

    def __post_init__(self) -> None:
        if self.factors not in {0, *ASSURANCE}:
            raise ValueError(f"factors is none of 0, {', '.join(map(str, ASSURANCE))}")

    def check(self, claims: AccessClaims, clock: Clock) -> None:
        """Refuse a caller without the role, then one with too weak authentication."""
        if self.role is not None:
            require_role(claims, self.role)
        if self.fresh is None and not self.factors:
            return
        is_strong = claims.factors >= self.factors
        if not (is_strong and self._is_fresh(claims, clock)):
            raise InsufficientAuthenticationError(
                fresh=self.fresh, factors=self.factors
            )

    def _is_fresh(self, claims: AccessClaims, clock: Clock) -> bool:
        """Return whether the authentication is no older, and not yet to come."""
        if self.fresh is None:
            return True
        if claims.authenticated_at is None:
            return False
        age = clock() - claims.authenticated_at
        return -MAX_CLOCK_SKEW <= age <= timedelta(seconds=self.fresh)


def caller(request: web.Request) -> AccessClaims:
    """Return the claims of the caller of a `protected` handler."""
    return request[_CALLER]


def require_role(claims: AccessClaims, role: str) -> None:
    """Raise `MissingRoleError` for a caller without exactly this role."""
    if role not in claims.roles:
        raise MissingRoleError(role)


def auth_problems(*, tutorial_compat: bool) -> ProblemTable:
    """Return the problems of requests that are not authorised.

    The tutorial's old clients expect 403 for a missing token. The challenges are those
    of RFC 6750 section 3.1: without credentials they name no error. Why a token was
    refused is logged.
    """
    refused = RefusedTokens()

    def invalid_token(error: InvalidTokenError) -> Problem:
        refused.note(error.reason, error.detail)
        return common.INVALID_TOKEN

    def malformed_credentials(error: MalformedCredentialsError) -> Problem:
        refused.note(RefusalReason.MALFORMED, str(error))
        return _MALFORMED_CREDENTIALS

    return {
        MissingTokenError: replace(common.MISSING_TOKEN, status=HTTPStatus.FORBIDDEN)
        if tutorial_compat
        else common.MISSING_TOKEN,
        MalformedCredentialsError: malformed_credentials,
        InvalidTokenError: invalid_token,
        CrossSiteRequestError: common.CROSS_SITE_REQUEST,
        MissingRoleError: _missing_role,
        InsufficientAuthenticationError: _insufficient_authentication,
        KeysUnavailableError: _UNAVAILABLE,
        StatusUnavailableError: _UNAVAILABLE,
    }


_MALFORMED_CREDENTIALS: Final = replace(
    common.INVALID_REQUEST,
    message="The access token must be given once, in one header.",
    headers={hdrs.WWW_AUTHENTICATE: 'Bearer error="invalid_request"'},
)

_UNAVAILABLE: Final = replace(
    common.VERIFICATION_UNAVAILABLE,
    headers={hdrs.RETRY_AFTER: str(RETRY_AFTER_SECONDS)},
)


def _missing_role(error: MissingRoleError) -> Problem:
    return common.INSUFFICIENT_SCOPE.with_parameters(role=error.role.title())


def _insufficient_authentication(error: InsufficientAuthenticationError) -> Problem:
    """Return the problem with the challenge of RFC 9470 section 3."""
    challenge = common.INSUFFICIENT_USER_AUTHENTICATION.headers[hdrs.WWW_AUTHENTICATE]
    if error.factors:
        challenge += f', acr_values="{ASSURANCE[error.factors]}"'
    if error.fresh is not None:
        challenge += f', max_age="{error.fresh}"'
    return replace(
        common.INSUFFICIENT_USER_AUTHENTICATION,
        headers={hdrs.WWW_AUTHENTICATE: challenge},
    )
