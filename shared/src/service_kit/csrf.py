"""Protect against cross-site request forgery."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from service_kit.origins import AllowedOrigins

_OWN_SITES: Final = frozenset({"same-origin", "same-site"})
"""Values of ``Sec-Fetch-Site`` that only our own pages cause."""


class Page(Enum):
    """Whose page made a request, by the browser's own word."""

    OURS = auto()
    FOREIGN = auto()
    NONE = auto()
    """No browser says anything: a client of another kind, or a very old browser."""


class CsrfGuard:
    """Knows which pages may use a browser's cookies, and set them.

    A browser attaches cookies whoever's page made the request, so a cookie alone
    proves nothing (OWASP Cross-Site Request Forgery Prevention, fetch metadata).
    """

    def __init__(self, allowed_origins: AllowedOrigins) -> None:
        self._allowed_origins = allowed_origins

    def page(self, headers: Mapping[str, str]) -> Page:
        """Return whose page made the request."""
        site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
        if site in _OWN_SITES or (origin or "") in self._allowed_origins:
            return Page.OURS
        return Page.NONE if site is None and origin is None else Page.FOREIGN
