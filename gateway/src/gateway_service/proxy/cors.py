"""Cross-origin policy, compiled to header lines that are ready to send.

All header lines are known when the configuration is loaded, so a request costs one
look-up; only an origin of a host with every port allowed is put in by itself. What a
page asks for is never echoed: a response lists what is offered, and the browser
compares (Fetch, section 4.9).
"""

from collections.abc import Iterable
from typing import Final, TypeGuard

from gateway_service.config.clients import CorsConfig
from gateway_service.config.values import CorsAccess
from service_kit.origins import ANY_PORT, AllowedOrigins

VARY: Final = b"Vary: Origin\r\n"
"""On every response, because another origin may get other lines (Fetch, 3.2.7)."""


class Cors:
    """The CORS header lines of a route's responses."""

    __slots__ = (
        "_actual",
        "_actual_otherwise",
        "_any_port",
        "_expose",
        "_offer",
        "_preflight",
        "_preflight_otherwise",
        "_suffix",
    )

    def __init__(
        self, config: CorsConfig, access: CorsAccess, methods: Iterable[str]
    ) -> None:
        offer = _line("Access-Control-Allow-Methods", sorted(methods))
        offer += _line("Access-Control-Allow-Headers", config.request_headers)
        offer += _line("Access-Control-Max-Age", [str(config.max_age)])
        expose = _line("Access-Control-Expose-Headers", config.exposed_headers)

        self._actual: dict[bytes | None, bytes] = {}
        self._preflight: dict[bytes | None, bytes] = {}
        self._actual_otherwise = self._preflight_otherwise = VARY
        self._any_port: AllowedOrigins | None = None
        self._expose, self._offer, self._suffix = expose, offer, VARY
        match access:
            case CorsAccess.PUBLIC:
                allow = _line("Access-Control-Allow-Origin", ["*"]) + VARY
                self._actual_otherwise = allow + expose
                self._preflight_otherwise = allow + offer
            case CorsAccess.ALLOWED_ORIGINS:
                if config.credentials:
                    self._suffix += b"Access-Control-Allow-Credentials: true\r\n"
                any_port = {each for each in config.origins if each.endswith(ANY_PORT)}
                if any_port:
                    self._any_port = AllowedOrigins(any_port)
                for origin in map(str.encode, config.origins - any_port):
                    self._actual[origin] = self._allow(origin) + expose
                    self._preflight[origin] = self._allow(origin) + offer

    def for_request(self, untrusted_origin: bytes | None) -> bytes:
        """Return the header lines of a response, of the gateway's own errors too.

        `VARY` itself: pages of this origin may not read it.
        """
        if self._any_port is not None and self._is_of_any_port(untrusted_origin):
            return self._allow(untrusted_origin) + self._expose
        return self._actual.get(untrusted_origin, self._actual_otherwise)

    def for_preflight(self, untrusted_origin: bytes | None) -> bytes:
        """Return the header lines of the 204 response to a preflight.

        An origin that is not allowed gets the same 204 without the permission.
        """
        if self._is_of_any_port(untrusted_origin):
            return self._allow(untrusted_origin) + self._offer
        return self._preflight.get(untrusted_origin, self._preflight_otherwise)

    def _is_of_any_port(self, origin: bytes | None) -> TypeGuard[bytes]:
        return (
            self._any_port is not None
            and origin is not None
            and origin.decode("latin-1") in self._any_port
        )

    def _allow(self, origin: bytes) -> bytes:
        return b"Access-Control-Allow-Origin: %b\r\n%b" % (origin, self._suffix)


def is_preflight(method: str, origin: bytes | None, wanted: bytes | None) -> bool:
    """Whether `OPTIONS` with `Access-Control-Request-Method: wanted` is a preflight."""
    return method == "OPTIONS" and origin is not None and wanted is not None


def _line(name: str, values: Iterable[str]) -> bytes:
    return f"{name}: {', '.join(values)}\r\n".encode("ascii")
