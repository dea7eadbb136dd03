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
"""Characters that are read of the headers a preflight asks for, for the log."""

_DEFAULT_PORTS: Final = {b"http": b":80", b"https": b":443"}
"""At the end of an authority; an origin leaves them out (RFC 6454, 6.2)."""

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
        self._methods = SAFELISTED_METHODS.union(methods)
        self._headers = frozenset(map(str.lower, config.request_headers))
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

    def not_offered(self, method: str, headers: Iterable[str]) -> list[str]:
        """Return what pages may not use of a method and some headers.

        Browsers compare the method as it is, so `patch` is none (Fetch, 4.8).
        """
        lacking = [] if method in self._methods else [method]
        return lacking + [each for each in headers if each.lower() not in self._headers]

    def _allowing(self, origin: bytes | None, more: bytes) -> bytes:
        if self._is_public:
            return b"Access-Control-Allow-Origin: *\r\n%b%b" % (VARY, more)
        if origin is None or origin.decode("latin-1") not in self._origins:
            return VARY
        allow = b"Access-Control-Allow-Origin: %b\r\n" % origin
        return allow + self._vary_and_credentials + more


def is_own_origin(untrusted_origin: bytes, host: bytes, public: bytes) -> bool:
    """Return whether a page is the gateway's own, which needs no CORS.

    ``host`` is that of the request, ``public`` the origin of `public_url`. Browsers
    send Origin within one origin, too.
    """
    scheme, _, authority = untrusted_origin.lower().partition(b"://")
    host = host.lower()
    default = _DEFAULT_PORTS.get(scheme, b"")
    return untrusted_origin == public or authority in {host, host.removesuffix(default)}


def is_preflight(request: Request) -> bool:
    """Return whether a browser asks what a page may send (Fetch, 4.8)."""
    return (
        request.method == "OPTIONS"
        and b"access-control-request-method" in request.values
        and request.origin is not None
    )


def wanted_by_preflight(request: Request) -> tuple[str, list[str]]:
    """Return the method and the headers that a preflight asks for."""
    method = request.texts("access-control-request-method")[0]
    headers = ",".join(request.texts("access-control-request-headers"))
    if len(headers) > _LONGEST_WANTED:
        headers = headers[:_LONGEST_WANTED].rpartition(",")[0]  # no half of a name
    return method, [name for each in headers.split(",") if (name := each.strip())]


def _line(name: str, values: Iterable[str]) -> bytes:
    return f"{name}: {', '.join(values)}\r\n".encode("ascii")
