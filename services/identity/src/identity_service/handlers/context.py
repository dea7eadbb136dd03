"""What a handler needs in addition to the body: the services, and the caller."""

import logging
from typing import Final

from aiohttp import hdrs, web

from identity_service.composition import Services
from identity_service.domain.errors import FreshCheckRequiredError
from identity_service.domain.roles import ADMIN
from identity_service.domain.sessions import Caller, Device
from identity_service.handlers.requests.cookies import TokenTransport
from identity_service.handlers.requests.devices import device_of
from identity_service.usecases.sessions.access_tokens import Bearer
from service_kit.auth import MissingTokenError, require_role, verify_one
from service_kit.credentials import (
    MalformedCredentialsError,
    access_token_cookie,
    read_access_token,
)
from service_kit.csrf import CrossSiteRequestError, Page
from service_kit.tokens import InvalidTokenError

SERVICES: Final = web.AppKey("SERVICES", Services)
"""The only thing that the application holds."""

_COOKIE_SETTINGS: Final = "TUTORIAL_COMPAT=true or IDENTITY_TOKEN_TRANSPORT=cookie"
_LONGEST_ORIGIN: Final = 100

_logger: Final = logging.getLogger(__name__)


class RequestContext:
    """The services, and the device and the user that sent the request."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self.services = request.app[SERVICES]

    @property
    def device(self) -> Device:
        """The device that sent the request, with the client's address."""
        return device_of(self._request, self.services.trusted_proxies)

    @property
    def page(self) -> Page:
        """Whose page made the request."""
        return self.services.csrf_guard.page(self._request.headers)

    @property
    def transport(self) -> TokenTransport:
        """The way that tokens take to the client, and back."""
        return TokenTransport.of(self.services.settings, self._request)

    def require_own_page(self) -> None:
        """Return if a page of ours made the request, else `CrossSiteRequestError`."""
        if self.page is not Page.OURS:
            raise CrossSiteRequestError

    def note_missing_cookies(self, transport: TokenTransport) -> None:
        """Log which setting a page needs that trusts in cookies nobody has set."""
        origin = self._request.headers.get(hdrs.ORIGIN)
        if origin is not None and not transport.uses_cookies:
            _logger.warning(
                "cookies_not_used",
                extra={"origin": origin[:_LONGEST_ORIGIN], "setting": _COOKIE_SETTINGS},
            )

    async def caller(self) -> Caller:
        """Return who is calling, by the request's access token.

        A cookie counts for an unsafe method only if a page of ours made the request.

        Raises
        ------
        MissingTokenError, MalformedCredentialsError, InvalidTokenError
            There is no token, more than one, or one that is not to be trusted.
        KeysUnavailableError, DatabaseUnavailableError
            It cannot be judged now.
        CrossSiteRequestError
        """
        return self._caller(await self._bearer())

    async def admin(self) -> Caller:
        """Return who is calling, if they are an administrator.

        Raises
        ------
        MissingRoleError
            Besides what `caller` raises.
        """
        bearer = await self._bearer()
        require_role(bearer.claims, ADMIN)
        return self._caller(bearer)

    async def fresh_caller(self) -> Caller:
        """Return who is calling, if they proved lately who they are.

        Raises
        ------
        FreshCheckRequiredError
            Besides what `caller` raises.
        """
        caller = await self.caller()
        self.require_fresh(caller)
        return caller

    def require_fresh(self, caller: Caller) -> None:
        """Return if the caller proved lately who they are.

        Raises
        ------
        FreshCheckRequiredError
        """
        lifetime = self.services.settings.fresh_check_lifetime
        if not caller.authentication.is_fresh(self.services.clock(), lifetime):
            raise FreshCheckRequiredError

    async def caller_or_none(self) -> Caller | None:
        """Return who is calling, None without a good access token."""
        try:
            return await self.caller()
        except (
            MissingTokenError,
            MalformedCredentialsError,
            InvalidTokenError,
            CrossSiteRequestError,
        ):
            return None

    async def _bearer(self) -> Bearer:
        cookie = access_token_cookie(secure=self.services.settings.cookie_secure)
        credentials = read_access_token(self._request.headers, cookie=cookie)
        if credentials is None:
            raise MissingTokenError
        self.services.csrf_guard.check(
            credentials, self._request.method, self._request.headers
        )
        return await verify_one(self.services.bearers.verify, credentials)

    def _caller(self, bearer: Bearer) -> Caller:
        return Caller(
            bearer.user_id, bearer.session_id, self.device, bearer.authentication
        )
