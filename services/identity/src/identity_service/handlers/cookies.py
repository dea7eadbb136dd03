"""Tokens on their way to clients: in the body, in cookies, or in both."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Self

from aiohttp import web

from identity_service.domain.errors import CrossSiteRequestError
from identity_service.security.csrf import Page
from identity_service.settings import Settings, Transport
from identity_service.usecases.token_pairs import TokenPair
from service_kit.credentials import access_token_cookie, read_cookies

SECURE_REFRESH_TOKEN_COOKIE: Final = "__Secure-refresh_token"  # noqa: S105 - a name
PLAIN_REFRESH_TOKEN_COOKIE: Final = "refresh_token"  # noqa: S105 - a cookie's name

ACCESS_TOKEN_PATH: Final = "/api"  # noqa: S105 - a path
REFRESH_TOKEN_PATH: Final = "/api/auth"  # noqa: S105 - a path
"""The refresh token goes where it is used, and nowhere else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenTransport:
    """Sends token pairs to clients, and reads them back."""

    transport: Transport
    secure: bool
    """Whether browsers send the cookies over HTTPS only."""
    session_lifetime: timedelta

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the transport that the settings choose."""
        transport = settings.token_transport
        return cls(
            transport=Transport.BOTH if settings.tutorial_compat else transport,
            secure=settings.cookie_secure,
            session_lifetime=settings.session_lifetime,
        )

    def to_page(self, page: Page) -> Self:
        """Return the way for new tokens to whoever made the request.

        Cookies are set for pages of ours alone: another page would put its own session
        into the visitor's browser. A client that is no browser needs none.

        Raises
        ------
        CrossSiteRequestError
            There is no way.
        """
        match self.transport, page:
            case (Transport.BODY, _) | (_, Page.OURS):
                return self
            case Transport.BOTH, Page.NONE:
                return replace(self, transport=Transport.BODY)
            case _:
                raise CrossSiteRequestError

    def refuse_foreign(self, page: Page) -> None:
        """Raise `CrossSiteRequestError` for a foreign page, where cookies are used."""
        if self.uses_cookies and page is Page.FOREIGN:
            raise CrossSiteRequestError

    @property
    def uses_cookies(self) -> bool:
        """Whether tokens travel in cookies at all."""
        return self.transport is not Transport.BODY

    def members(self, pair: TokenPair) -> dict[str, object]:
        """Return the members of a response's body for a pair."""
        about: dict[str, object] = {
            "tokenType": "Bearer",
            "expiresIn": pair.expires_in,
        }
        if self.transport is Transport.COOKIE:
            return about
        return {
            "accessToken": pair.access_token,
            "refreshToken": pair.refresh_token,
            **about,
        }

    def set_cookies(self, response: web.Response, pair: TokenPair) -> None:
        """Put a pair into a response's cookies, where tokens travel so.

        Both live as long as the session may: an access token that has expired has to
        arrive, to be refused with 401, or the client would not know to refresh.
        """
        if not self.uses_cookies:
            return
        self._set(
            response,
            access_token_cookie(secure=self.secure),
            pair.access_token,
            path=ACCESS_TOKEN_PATH,
        )
        self._set(
            response,
            self.refresh_token_cookie,
            pair.refresh_token,
            path=REFRESH_TOKEN_PATH,
        )

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
            path=path,
            max_age=lifetime if max_age is None else max_age,
            secure=self.secure,
            httponly=True,
            samesite="Strict",
        )
