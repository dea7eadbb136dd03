"""Cross-origin policy, as header lines.

What a page asks for is never echoed: a response lists what is offered, and the browser
compares (Fetch, section 4.9).
"""

from collections.abc import Iterable
from typing import Final

from gateway_service.config.clients import CorsConfig
from gateway_service.config.values import CorsAccess
from gateway_service.http1.parsing.requests import Request
from service_kit.origins import AllowedOrigins

SAFELISTED_METHODS: Final = frozenset({"GET", "HEAD", "POST"})
"""Methods that no preflight has to offer (Fetch, 2.2.1)."""

_LONGEST_WANTED: Final = 1_024
"""Characters that are read of what a preflight asks for, which is for the log."""

VARY: Final = b"Vary: Origin\r\n"
"""On every response, because another origin may get other lines (Fetch, 3.2.7)."""


class Cors:
    """The CORS header lines of a route's responses."""

    def __init__(
        self, config: CorsConfig, access: CorsAccess, methods: Iterable[str]
    ) -> None:
        self._is_public = access is CorsAccess.PUBLIC
        self._origins = AllowedOrigins(config.origins)
        self._expose = _line("Access-Control-Expose-Headers", config.exposed_headers)
        methods = sorted(methods)
        self._offered = frozenset(
            each.lower()
            for each in (*methods, *SAFELISTED_METHODS, *config.request_headers)
        )
        self._offer = (
            _line("Access-Control-Allow-Methods", methods)
            + _line("Access-Control-Allow-Headers", config.request_headers)
            + _line("Access-Control-Max-Age", [str(config.max_age)])
        )
        self._vary_and_credentials = VARY
        if config.credentials:
            self._vary_and_credentials += b"Access-Control-Allow-Credentials: true\r\n"

    def for_request(self, untrusted_origin: bytes | None) -> bytes:
        """Return the header lines of a response, of the gateway's own errors too.

        `VARY` itself: pages of this origin may not read it.
        """
        return self._allowing(untrusted_origin, self._expose)

    def for_preflight(self, untrusted_origin: bytes | None) -> bytes:
        """Return the header lines of the 204 response to a preflight.

        An origin that is not allowed gets the same 204 without the permission.
        """
        return self._allowing(untrusted_origin, self._offer)

    def not_offered(self, wanted: Iterable[str]) -> list[str]:
        """Return those of some methods and headers that pages may not use."""
        return [each for each in wanted if each.lower() not in self._offered]

    def _allowing(self, origin: bytes | None, more: bytes) -> bytes:
        if self._is_public:
            return b"Access-Control-Allow-Origin: *\r\n%b%b" % (VARY, more)
        if origin is None or origin.decode("latin-1") not in self._origins:
            return VARY
        allow = b"Access-Control-Allow-Origin: %b\r\n" % origin
        return allow + self._vary_and_credentials + more


def is_preflight(method: str, origin: bytes | None, wanted: bytes | None) -> bool:
    """Whether `OPTIONS` with `Access-Control-Request-Method: wanted` is a preflight."""
    return method == "OPTIONS" and origin is not None and wanted is not None


def wanted_by_preflight(request: Request) -> list[str]:
    """Return the method and the headers that a preflight asks for."""
    wanted = request.texts("access-control-request-method")
    if wanted:
        wanted += request.texts("access-control-request-headers")
    names = ",".join(wanted)[:_LONGEST_WANTED].split(",")
    return [name for each in names if (name := each.strip())]


def _line(name: str, values: Iterable[str]) -> bytes:
    return f"{name}: {', '.join(values)}\r\n".encode("ascii")
