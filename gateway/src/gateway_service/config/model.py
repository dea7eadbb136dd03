"""What the gateway's TOML file says, as values that cannot change.

Sizes are bytes, durations are seconds. `config.file` reads the file into these.
"""

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from service_kit.edge.connection import ClientTimeouts

NO_LIMIT: Final = math.inf
"""A duration that never ends: what 0 means for `total` in the file."""

METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
"""What a route lets through unless it says otherwise. Never TRACE and CONNECT."""


class Balance(Enum):
    """How an upstream picks a replica."""

    LEAST_IN_FLIGHT = "least_in_flight"
    ROUND_ROBIN = "round_robin"


class CorsAccess(Enum):
    """Whose pages may read a route's answers."""

    ALLOWED_ORIGINS = "allowed_origins"
    PUBLIC = "public"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one client, and all of them, may ask for."""

    request_line: int = 8_192
    header_field: int = 8_192
    headers: int = 32_768
    header_count: int = 100
    body: int = 1_048_576
    connections: int = 8_192
    connections_per_client: int = 1_024


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a route waits for its upstream."""

    connect: float = 1.0
    response_head: float = 10.0
    idle: float = 30.0
    """Between two pieces of an answer's body."""
    total: float = 60.0
    """From the request's head to the answer's end; `NO_LIMIT` for none."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """So many requests in so many seconds, for each client address."""

    requests: int
    seconds: int


@dataclass(frozen=True, slots=True)
class CorsConfig:
    """Which pages of other origins may use the gateway."""

    origins: frozenset[str] = frozenset()
    credentials: bool = False
    request_headers: tuple[str, ...] = (
        "content-type",
        "authorization",
        "x-access-token",
        "x-request-id",
    )
    exposed_headers: tuple[str, ...] = (
        "WWW-Authenticate",
        "Retry-After",
        "X-Request-Id",
    )
    max_age: int = 600


@dataclass(frozen=True, slots=True)
class RouteConfig:
    """Where requests below one prefix go, and under which conditions."""

    prefix: str
    upstream: str
    methods: frozenset[str] = METHODS
    body_limit: int = 1_048_576
    timeouts: Timeouts = Timeouts()
    rate_limit: RateLimit | None = None
    cors: CorsAccess = CorsAccess.ALLOWED_ORIGINS


@dataclass(frozen=True, slots=True)
class Address:
    """Where replicas are found: a literal address, a name, or a service name."""

    host: str
    port: int
    probe_port: int | None = None
    """Where this address is probed, if not where its upstream says."""
    service: bool = False
    """`host` is to be looked up as SRV, which names hosts and ports."""


@dataclass(frozen=True, slots=True)
class HealthConfig:
    """How replicas are asked whether they are ready."""

    path: str = "/readyz"
    """Empty: no probes, every replica found counts as ready."""
    port: int = 0
    """0: the port that serves requests."""
    interval: float = 1.0
    timeout: float = 1.0
    failures: int = 2
    """Probes in a row without an answer that take a replica out."""
    successes: int = 1
    """Probes in a row that bring it back."""


@dataclass(frozen=True, slots=True)
class EjectionConfig:
    """When requests that fail take a replica out, and for how long."""

    failures: int = 3
    """Failed requests in a row; one refused connection is enough."""
    first: float = 1.0
    """Seconds out for the first time; doubled each time after."""
    longest: float = 30.0
    share: float = 0.5
    """Of the replicas, at most this share is out at once, and never all."""


@dataclass(frozen=True, slots=True)
class RetryConfig:
    """When a request that failed on one replica is tried on another."""

    attempts: int = 3
    """Tries of one request in all."""
    attempt_timeout: float = 0.5
    """A request that may be retried waits so long for a head before the next try."""
    share: float = 0.2
    """Retries allowed for each request of late."""
    per_second: float = 10.0
    """Retries allowed in any case."""


@dataclass(frozen=True, slots=True)
class UpstreamConfig:
    """A service behind the gateway and how its replicas are found and used."""

    name: str
    addresses: tuple[Address, ...]
    balance: Balance = Balance.LEAST_IN_FLIGHT
    max_in_flight: int = 512
    """More requests at once than this are answered 503: the bulkhead."""
    resolve_interval: float = 5.0
    idle_connections: int = 64
    """Kept open to each replica."""
    idle_timeout: float = 10.0
    """An unused connection is closed after this; below the upstream's own."""
    slow_start: float = 3.0
    """A replica that (re)joins gets its full share only after this."""
    health: HealthConfig = HealthConfig()
    ejection: EjectionConfig = EjectionConfig()
    retries: RetryConfig = RetryConfig()


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """The certificate the gateway shows."""

    certificate: str
    key: str
    hsts: int = 31_536_000
    """`Strict-Transport-Security: max-age`; 0 sends none."""


@dataclass(frozen=True, slots=True)
class Config:
    """The whole file."""

    upstreams: tuple[UpstreamConfig, ...]
    routes: tuple[RouteConfig, ...]
    pseudonym: str = "gateway"
    """Names this gateway in `Via`."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks of proxies in front of the gateway, which are believed."""
    trusted_header: str = "x-forwarded-for"
    """The header in which they name the client; the other one is ignored."""
    rate_limit_store: str = "memory"
    """`memory`, or `valkey://…` where several gateways count together."""
    limits: Limits = field(default_factory=Limits)
    client_timeouts: ClientTimeouts = field(default_factory=ClientTimeouts)
    cors: CorsConfig = field(default_factory=CorsConfig)
    tls: TlsConfig | None = None
