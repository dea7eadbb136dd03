"""What a handler needs: what the request says, who sent it, and the services."""

import logging
from typing import Final

from aiohttp import hdrs, web

from identity_service.composition import Services
from identity_service.domain.errors import FreshCheckRequiredError, UserNotFoundError
from identity_service.domain.sessions.sessions import Caller, Device
from identity_service.handlers.payloads import P, read_payload
from identity_service.handlers.queries import MAX_DIGITS, Q, read_query
from identity_service.handlers.requests.cookies import TokenTransport
from identity_service.handlers.requests.devices import device_of
from service_kit.auth import MissingTokenError, require_role, verify_one
from service_kit.requests.credentials import (
    MalformedCredentialsError,
    access_token_cookie,
    read_access_token,
)
from service_kit.requests.csrf import CrossSiteRequestError, Page
from service_kit.tokens import InvalidTokenError

SERVICES: Final = web.AppKey("SERVICES", Services)
"""The only thing that the application holds."""

_COOKIE_SETTINGS: Final = "TUTORIAL_COMPAT=true or IDENTITY_TOKEN_TRANSPORT=cookie"
_LONGEST_ORIGIN: Final = 100

_logger: Final = logging.getLogger(__name__)


class RequestContext:
    """The request, the device and the user that sent it, and the services."""

    def __init__(self, request: web.Request) -> None:
        self.request = request
        self.services = request.app[SERVICES]

    @property
    def device(self) -> Device:
        """The device that sent the request, with the client's address."""
        return device_of(self.request, self.services.trusted_proxies)

    @property
    def page(self) -> Page:
        """Whose page made the request."""
        return self.services.csrf_guard.page(self.request.headers)

    @property
    def transport(self) -> TokenTransport:
        """The way that tokens take to the client, and back."""
        return TokenTransport.of(self.services.settings, self.request)

    @property
    def user_id(self) -> int:
        """The id of the user that the path names; raise `UserNotFoundError`."""
        untrusted_id = self.request.match_info["user_id"]
        if len(untrusted_id) > MAX_DIGITS:
            raise UserNotFoundError
        return int(untrusted_id)

    async def read(self, model: type[P], *, form: bool = False) -> P:
        """Return the request's body, or raise a `ProblemError`; see `read_payload`."""
        return await read_payload(self.request, model, form=form)

    def read_query(self, model: type[Q]) -> Q:
        """Return the query string, or raise a `ProblemError`; see `read_query`."""
        return read_query(self.request, model)

    def location(self, path: str) -> str:
        """Return where clients find a path of ours."""
        return f"{self.services.settings.base_path}{path}"

    def require_own_page(self) -> None:
        """Return if a page of ours made the request, else `CrossSiteRequestError`."""
        if self.page is not Page.OURS:
            raise CrossSiteRequestError

    def note_missing_cookies(self, transport: TokenTransport) -> None:
        """Log which setting a page needs that trusts in cookies nobody has set."""
        origin = self.request.headers.get(hdrs.ORIGIN)
        if origin is not None and not transport.uses_cookies:
            _logger.warning(
                "cookies_not_used",
                extra={"origin": origin[:_LONGEST_ORIGIN], "setting": _COOKIE_SETTINGS},
            )

    async def caller(self, *, role: str | None = None) -> Caller:
        """Return the caller, authenticated by the request's access token.

        A cookie counts for an unsafe method only if a page of ours made the request.

        Raises `MissingTokenError`, `MalformedCredentialsError`, `InvalidTokenError`:
        there is no token, more than one, or one that is not to be trusted;
        `MissingRoleError`: the caller has not the role; `CrossSiteRequestError`;
        `KeysUnavailableError`, `DatabaseUnavailableError`: it cannot be verified now.
        """
        cookie = access_token_cookie(secure=self.services.settings.cookie_secure)
        credentials = read_access_token(self.request.headers, cookie=cookie)
        if credentials is None:
            raise MissingTokenError
        self.services.csrf_guard.check(
            credentials, self.request.method, self.request.headers
        )
        bearer = await verify_one(self.services.tokens.bearers.verify, credentials)
        if role is not None:
            require_role(bearer.claims, role)
        return Caller(
            bearer.user_id, bearer.session_id, self.device, bearer.authentication
        )

    def require_fresh(self, caller: Caller) -> None:
        """Return if the caller has authenticated recently.

        Raises `FreshCheckRequiredError`.
        """
        lifetime = self.services.settings.fresh_check_lifetime
        if not caller.authentication.is_fresh(self.services.clock(), lifetime):
            raise FreshCheckRequiredError

    async def caller_or_none(self) -> Caller | None:
        """Return the caller, None without a valid access token."""
        try:
            return await self.caller()
        except (
            MissingTokenError,
            MalformedCredentialsError,
            InvalidTokenError,
            CrossSiteRequestError,
        ):
            return None
