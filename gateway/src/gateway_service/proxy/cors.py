"""Cross-origin policy, compiled to header lines that are ready to send.

Everything a browser may be told is known when the configuration is loaded, so a
request costs one look-up. What a page asks for is never echoed: an answer lists what
is offered, and the browser compares (Fetch, section 4.9).
"""

from collections.abc import Iterable
from typing import Final

from gateway_service.config.model import CorsConfig
from gateway_service.config.values import CorsAccess

VARY: Final = b"Vary: Origin\r\n"
"""On every answer, because another origin may get other lines (Fetch, 3.2.7)."""


class Cors:
    """Says which CORS lines stand on the answers of a route."""

    __slots__ = ("_actual", "_actual_otherwise", "_preflight", "_preflight_otherwise")

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
        match access:
            case CorsAccess.PUBLIC:
                allow = _line("Access-Control-Allow-Origin", ["*"]) + VARY
                self._actual_otherwise = allow + expose
                self._preflight_otherwise = allow + offer
            case CorsAccess.ALLOWED_ORIGINS:
                for origin in config.origins:
                    allow = _line("Access-Control-Allow-Origin", [origin]) + VARY
                    if config.credentials:
                        allow += b"Access-Control-Allow-Credentials: true\r\n"
                    self._actual[origin.encode("ascii")] = allow + expose
                    self._preflight[origin.encode("ascii")] = allow + offer

    def for_request(self, untrusted_origin: bytes | None) -> bytes:
        """Return the header lines of an answer, errors of our own included."""
        return self._actual.get(untrusted_origin, self._actual_otherwise)

    def for_preflight(self, untrusted_origin: bytes | None) -> bytes:
        """Return the header lines of the 204 that answers a preflight.

        An origin that is not allowed gets the same 204 without the permission.
        """
        return self._preflight.get(untrusted_origin, self._preflight_otherwise)


def is_preflight(method: str, origin: bytes | None, wanted: bytes | None) -> bool:
    """Whether `OPTIONS` with `Access-Control-Request-Method: wanted` is a preflight."""
    return method == "OPTIONS" and origin is not None and wanted is not None


def _line(name: str, values: Iterable[str]) -> bytes:
    return f"{name}: {', '.join(values)}\r\n".encode("ascii")
