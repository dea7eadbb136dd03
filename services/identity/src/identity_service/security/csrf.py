"""Protect against cross-site request forgery."""

from collections.abc import Iterable, Mapping
from typing import Final

from identity_service.domain.errors import CrossSiteRequestError

_OWN_SITES: Final = frozenset({"same-origin", "same-site"})
"""Values of ``Sec-Fetch-Site`` that only our own pages cause."""


class CsrfGuard:
    """Knows which pages may use a browser's cookies for unsafe methods.

    A browser attaches cookies whoever's page made the request, so a cookie alone
    proves nothing (OWASP Cross-Site Request Forgery Prevention, fetch metadata).
    """

    def __init__(self, allowed_origins: Iterable[str]) -> None:
        self._allowed_origins = frozenset(allowed_origins)

    def allows(self, headers: Mapping[str, str]) -> bool:
        """Return whether a page of ours made the request, by the browser's own word."""
        return (
            headers.get("Sec-Fetch-Site") in _OWN_SITES
            or headers.get("Origin") in self._allowed_origins
        )

    def require(self, headers: Mapping[str, str]) -> None:
        """Raise `CrossSiteRequestError` unless a page of ours made the request."""
        if not self.allows(headers):
            raise CrossSiteRequestError
