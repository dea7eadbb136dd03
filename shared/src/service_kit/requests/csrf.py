"""Protect against cross-site request forgery."""

from collections.abc import Iterable, Mapping
from enum import Enum, auto
from typing import Final

from aiohttp import hdrs

from service_kit.origins import AllowedOrigins
from service_kit.requests.credentials import Credentials, CredentialsSource

_OWN_SITES: Final = frozenset({"same-origin", "same-site"})
"""Values of ``Sec-Fetch-Site`` that only our own pages cause."""

_SAFE_METHODS: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})


class CrossSiteRequestError(Exception):
    """A request with a cookie is not known to be made by a page of ours."""


class Page(Enum):
    """Whose page made a request, according to the browser."""

    OURS = auto()
    FOREIGN = auto()
    NONE = auto()
    """The headers are absent: the client is no browser, or a very old one."""


class CsrfGuard:
    """Knows which pages may use a browser's cookies, and set them.

    A browser attaches cookies to requests of any page, so a cookie alone
    proves nothing (OWASP Cross-Site Request Forgery Prevention, fetch metadata).
    """

    def __init__(self, own_origins: Iterable[str]) -> None:
        self._own_origins = AllowedOrigins(own_origins)

    def page(self, headers: Mapping[str, str]) -> Page:
        """Return whose page made the request."""
        site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
        if site in _OWN_SITES or (origin or "") in self._own_origins:
            return Page.OURS
        return Page.NONE if site is None and origin is None else Page.FOREIGN

    def check(
        self, credentials: Credentials, method: str, headers: Mapping[str, str]
    ) -> None:
        """Refuse a cookie with an unsafe method, unless our page made the request.

        Raises `CrossSiteRequestError`.
        """
        if (
            credentials.source is CredentialsSource.COOKIE
            and method not in _SAFE_METHODS
            and self.page(headers) is not Page.OURS
        ):
            raise CrossSiteRequestError
