"""The keys that say what clients may do, and what they are shown.

Sizes are bytes, durations are seconds. As in `config.model`, a docstring is the
operator's reference.
"""

from dataclasses import dataclass
from typing import Final

from gateway_service.config import rules, values
from gateway_service.config.keys import value
from gateway_service.config.rules import DAY, HOUR, MEBIBYTE, number, whole
from gateway_service.http1.parsing.limits import ClientTimeouts, HeadLimits

_HEAD: Final = HeadLimits()


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one client, and all of them together, may ask for."""

    request_line: int = value(
        whole(256, 65_536), "414 beyond", default=_HEAD.start_line
    )
    header_field: int = value(
        whole(256, 65_536), "one header field, 431 beyond", default=_HEAD.field
    )
    headers: int = value(
        whole(1_024, MEBIBYTE),
        "all header fields together, 431 beyond",
        default=_HEAD.fields,
    )
    header_count: int = value(
        whole(8, 1_000),
        "number of header fields, 431 beyond",
        default=_HEAD.field_count,
    )
    body: int = value(
        whole(0, 2**40), "413 beyond, unless a route has its own", default=MEBIBYTE
    )
    connections: int = value(whole(1, 1_000_000), "open at once, in all", default=8_192)
    connections_per_client: int = value(
        whole(1, 1_000_000), "open at once, from one address", default=1_024
    )
    held: int = value(
        whole(MEBIBYTE, 2**40),
        "bytes held of all connections together; beyond, those of the client of which"
        " most is held are cut",
        default=96 * MEBIBYTE,
    )

    @property
    def head(self) -> HeadLimits:
        """Return those of a request's head."""
        return HeadLimits(
            self.request_line, self.header_field, self.headers, self.header_count
        )


@dataclass(frozen=True, slots=True)
class ClientTimeoutsConfig(ClientTimeouts):
    """How long the gateway waits for a client."""

    head: float = value(
        number(0.1, HOUR),
        "for a whole request line and header block",
        default=ClientTimeouts.head,
    )
    body: float = value(
        number(0.1, HOUR),
        "for a whole body, plus a second for each `body_rate` bytes received",
        default=ClientTimeouts.body,
    )
    body_rate: int = value(
        whole(1, 2**30),
        "bytes a second below which a body counts as stalled",
        default=ClientTimeouts.body_rate,
    )
    send: float = value(
        number(0.1, HOUR),
        "for the client to take what was sent to it",
        default=ClientTimeouts.send,
    )
    keep_alive: float = value(
        number(0.1, HOUR),
        "for the next request on a connection",
        default=ClientTimeouts.keep_alive,
    )


@dataclass(frozen=True, slots=True)
class CorsConfig:
    """Which pages of other origins may use the gateway."""

    origins: frozenset[str] = value(
        rules.a_set(values.origin),
        "origins exactly as browsers send them, never `*`; `http://localhost:*` has"
        " every port, as 127.0.0.1 and [::1] may",
        default=frozenset(),
        variable="GATEWAY_ALLOWED_ORIGINS",
    )
    credentials: bool = value(
        rules.yes_or_no,
        "`true` only where tokens travel in cookies",
        default=False,
        variable="GATEWAY_ALLOW_CREDENTIALS",
    )
    request_headers: tuple[str, ...] = value(
        rules.each(values.header_name),
        "headers that pages may send",
        default=(
            "content-type",
            "authorization",
            "x-access-token",
            "x-request-id",
            "prefer",
            "if-none-match",
        ),
    )
    exposed_headers: tuple[str, ...] = value(
        rules.each(values.header_name),
        "headers that pages may read",
        default=(
            "WWW-Authenticate",
            "Retry-After",
            "X-Request-Id",
            "ETag",
            "Location",
            "Preference-Applied",
        ),
    )
    max_age: int = value(
        whole(0, DAY),
        "how long a browser may cache the response to a preflight",
        default=600,
    )


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """The certificate the gateway shows; without this table it speaks plain HTTP."""

    certificate: str = value(values.file_name, "PEM file with the whole chain")
    key: str = value(values.file_name, "PEM file, without a password")
    hsts: int = value(
        whole(0, 10 * 365 * DAY),
        "`Strict-Transport-Security: max-age`; 0 sends none",
        default=31_536_000,
    )


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Limits how often one client may use a route; 429 with Retry-After beyond.

    A burst up to the limit passes at once, then requests pass at an even rate. An IPv4
    address or an IPv6 /64 network counts as one client.
    """

    requests: int = value(whole(1, 1_000_000), "number of requests")
    seconds: int = value(whole(1, DAY), "the time in which they may be made")
