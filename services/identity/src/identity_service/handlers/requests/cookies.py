"""Tokens on their way to clients: in the body, in cookies, or in both."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Flag, auto
from typing import Any, Final, Self

from aiohttp import web

from identity_service.handlers.requests.preferences import (
    PREFERENCE_APPLIED,
    preference,
)
from identity_service.handlers.responses import TokenPairBody, json_response
from identity_service.settings import Settings, Transport
from identity_service.usecases.sessions.token_pairs import TokenPair
from service_kit.requests.credentials import access_token_cookie, read_cookies
from service_kit.requests.csrf import CrossSiteRequestError, Page

SECURE_REFRESH_TOKEN_COOKIE: Final = "__Secure-refresh_token"  # noqa: S105 - a name
PLAIN_REFRESH_TOKEN_COOKIE: Final = "refresh_token"  # noqa: S105 - a cookie's name

ACCESS_TOKEN_PATH: Final = "/api"  # noqa: S105 - a path
REFRESH_TOKEN_PATH: Final = "/api/auth"  # noqa: S105 - a path
"""The refresh token goes where it is used, and nowhere else."""


_MOST_BYTES: Final = 4096
"""Of a cookie's name and value: browsers drop longer ones without a word. A token with
some sixty long names of roles is."""

_logger: Final = logging.getLogger(__name__)

_PREFERENCE: Final = ("refresh-token", "cookie")
"""By which a client that keeps its access token itself has the other kept for it."""


class Carrier(Flag):
    """What carries a token to a client."""

    BODY = auto()
    COOKIE = auto()


_CARRIERS: Final[Mapping[Transport, Carrier]] = {
    Transport.BODY: Carrier.BODY,
    Transport.COOKIE: Carrier.COOKIE,
    Transport.BOTH: Carrier.BODY | Carrier.COOKIE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenTransport:
    """Sends token pairs to clients, and reads them back."""

    access_token: Carrier
    refresh_token: Carrier
    secure: bool
    """Whether browsers send the cookies over HTTPS only."""
    base_path: str
    """Of the paths that browsers send the cookies to."""
    session_lifetime: timedelta
    is_preferred: bool = False
    """Whether the client chose it."""

    @classmethod
    def of(cls, settings: Settings, request: web.Request) -> Self:
        """Return the transport that the client prefers, else that of the settings."""
        name, value = _PREFERENCE
        transport = settings.token_transport
        carrier = _CARRIERS[Transport.BOTH if settings.tutorial_compat else transport]
        is_preferred = preference(request, name) == value
        return cls(
            access_token=Carrier.BODY if is_preferred else carrier,
            refresh_token=Carrier.COOKIE if is_preferred else carrier,
            secure=settings.cookie_secure,
            base_path=settings.base_path,
            session_lifetime=settings.session_lifetime,
            is_preferred=is_preferred,
        )

    def to_page(self, page: Page) -> Self:
        """Return how to deliver new tokens to the client.

        Cookies are set for pages of ours alone: another page would put its own session
        into the visitor's browser. A client that is no browser needs none.

        Raises `CrossSiteRequestError`: there is no way.
        """
        if page is Page.OURS or not self.uses_cookies:
            return self
        if page is Page.NONE and Carrier.BODY in self.refresh_token:
            return replace(self, access_token=Carrier.BODY, refresh_token=Carrier.BODY)
        raise CrossSiteRequestError

    def refuse_foreign(self, page: Page) -> None:
        """Raise `CrossSiteRequestError` for a foreign page, where cookies are used."""
        if self.uses_cookies and page is Page.FOREIGN:
            raise CrossSiteRequestError

    @property
    def uses_cookies(self) -> bool:
        """Whether tokens travel in cookies at all."""
        return Carrier.COOKIE in self.access_token | self.refresh_token

    def respond(
        self,
        model: type[TokenPairBody],
        pair: TokenPair,
        **members: Any,  # noqa: ANN401 - what the model has besides
    ) -> web.Response:
        """Return the response that hands out a pair, with further members.

        Cookies live as long as the session may: an access token that has expired has
        to arrive, to be refused with 401, or the client would not know to refresh.
        """
        if Carrier.BODY in self.access_token:
            members["access_token"] = pair.access_token
        if Carrier.BODY in self.refresh_token:
            members["refresh_token"] = pair.refresh_token
        members |= {"token_type": "Bearer", "expires_in": pair.expires_in}
        body = model(**members)
        response = json_response(body)
        if Carrier.COOKIE in self.access_token:
            name = access_token_cookie(secure=self.secure)
            self._set(response, name, pair.access_token, path=ACCESS_TOKEN_PATH)
        if Carrier.COOKIE in self.refresh_token:
            name = self.refresh_token_cookie
            self._set(response, name, pair.refresh_token, path=REFRESH_TOKEN_PATH)
        if self.is_preferred:
            response.headers[PREFERENCE_APPLIED] = "=".join(_PREFERENCE)
        return response

    def clear_cookies(self, response: web.Response) -> None:
        """Delete the pair's cookies: same names, paths and attributes."""
        if not self.uses_cookies:
            return
        for name, path in (
            (access_token_cookie(secure=self.secure), ACCESS_TOKEN_PATH),
            (self.refresh_token_cookie, REFRESH_TOKEN_PATH),
        ):
            self._set(response, name, "", path=path, max_age=0)

    @property
    def refresh_token_cookie(self) -> str:
        """The refresh token's cookie. It has a path, so it can't be ``__Host-``."""
        return (
            SECURE_REFRESH_TOKEN_COOKIE if self.secure else PLAIN_REFRESH_TOKEN_COOKIE
        )

    def read_refresh_tokens(self, request: web.Request) -> tuple[str, ...]:
        """Return the refresh tokens in the request's cookies: one of them should do."""
        if not self.uses_cookies:
            return ()
        return read_cookies(request.headers, self.refresh_token_cookie)

    def _set(
        self,
        response: web.Response,
        name: str,
        value: str,
        *,
        path: str,
        max_age: int | None = None,
    ) -> None:
        lifetime = int(self.session_lifetime.total_seconds())
        response.set_cookie(
            name,
            value,
            path=f"{self.base_path}{path}",
            max_age=lifetime if max_age is None else max_age,
            secure=self.secure,
            httponly=True,
            samesite="Strict",
        )
        if (size := len(name) + len(value)) > _MOST_BYTES:
            _logger.warning("cookie_too_long", extra={"cookie": name, "bytes": size})
