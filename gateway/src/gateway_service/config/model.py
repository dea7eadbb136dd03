"""The keys of the gateway's TOML file, as values that cannot change.

Sizes are bytes, durations are seconds. A docstring here is the operator's reference:
`make docs` writes the page from these declarations, `config.file` reads by them.
"""

from dataclasses import dataclass, replace
from typing import Final

from gateway_service.config import rules, values
from gateway_service.config.clients import (
    ClientTimeoutsConfig,
    CorsConfig,
    Limits,
    RateLimit,
    TlsConfig,
)
from gateway_service.config.keys import NAME, array_of, named, table, value
from gateway_service.config.rules import DAY, HOUR, MEBIBYTE, number, whole
from gateway_service.config.values import (
    METHODS,
    Address,
    Balance,
    Concurrency,
    CorsAccess,
    Priority,
)
from gateway_service.http1.parsing.limits import ClientTimeouts
from service_kit.settings import LAST_PORT

UPSTREAM_VARIABLE: Final = f"GATEWAY_UPSTREAM_{NAME}"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a route waits for its upstream."""

    connect: float = value(
        number(0.01, 60), "for a connection to a replica", default=1.0
    )
    response_head: float = value(
        number(0.01, HOUR), "for the head of a response, 504 beyond", default=10.0
    )
    idle: float = value(
        number(0.01, DAY), "between two pieces of a response's body", default=30.0
    )
    total: float = value(
        rules.zero_or(number(0.01, DAY), values.NO_LIMIT),
        "from the request's head, or the first 64 KiB of its body, to the end of the"
        " response; 0 sets no limit, which long streams and WebSockets need",
        default=60.0,
    )

    def waiting(self, seconds: float) -> "Timeouts":
        """Return these for a request whose response may take so much longer."""
        return replace(self, response_head=self.response_head + seconds)


@dataclass(frozen=True, slots=True)
class RouteConfig:
    """Where requests below one prefix go, and under which conditions."""

    prefix: str = value(values.prefix, "the beginning of a path, up to a whole segment")
    upstream: str = value(values.name, "the name of one of `[upstreams]`")
    methods: frozenset[str] = value(
        rules.a_set(values.method), "405 for others", default=METHODS
    )
    body_limit: int = value(
        whole(0, 2**40), "413 beyond", default=MEBIBYTE, inherits="limits.body"
    )
    timeouts: Timeouts = table(
        Timeouts, "those that differ from `[timeouts]`", inherits="timeouts"
    )
    rate_limit: RateLimit | None = table(
        RateLimit, "like `{ requests = 10, seconds = 60 }`", is_optional=True
    )
    cors: CorsAccess = value(
        rules.choice(CorsAccess),
        "`public` lets every origin read responses, without credentials",
        default=CorsAccess.ALLOWED_ORIGINS,
    )
    priority: Priority = value(
        rules.choice(Priority),
        "`high`: refused last when the upstream has too many requests",
        default=Priority.NORMAL,
    )


@dataclass(frozen=True, slots=True)
class HealthConfig:
    """How the gateway asks replicas whether they are ready."""

    path: str = value(
        values.probe_path,
        "where probes are sent; empty: no probes, every replica counts as ready",
        default="/readyz",
    )
    port: int = value(
        whole(0, LAST_PORT), "0 stands for the port that serves requests", default=0
    )
    interval: float = value(
        number(0.05, HOUR), "between two probes of a replica", default=1.0
    )
    timeout: float = value(
        number(0.05, 60),
        "for the response to a probe; a busy machine takes its time",
        default=1.0,
    )
    failures: int = value(
        whole(1, 100), "unanswered probes in a row that take a replica out", default=3
    )
    successes: int = value(
        whole(1, 100), "successful probes in a row that bring it back", default=1
    )
    panic_share: float = value(
        number(0, 1),
        "while less than this part of the replicas is ready, silent ones are used too",
        default=0.3,
    )


@dataclass(frozen=True, slots=True)
class EjectionConfig:
    """When failed requests take a replica out, and for how long."""

    failures: int = value(
        whole(1, 1_000),
        "failed requests in a row; one refused connection is enough",
        default=3,
    )
    first: float = value(
        number(0.05, HOUR),
        "how long a replica is out, doubled each time after",
        default=1.0,
    )
    longest: float = value(
        number(0.05, HOUR), "how long a replica is out at most", default=30.0
    )
    share: float = value(
        number(0, 1),
        "the part of the replicas that may be out at once; never all of them",
        default=0.5,
    )


@dataclass(frozen=True, slots=True)
class RetryConfig:
    """When a request that failed or waits on one replica is sent to another."""

    attempts: int = value(whole(1, 10), "tries of one request in all", default=3)
    attempt_timeout: float = value(
        number(0.01, HOUR),
        "how long a GET or HEAD waits for a response before another replica is asked"
        " as well, and the first response is passed on",
        default=0.5,
    )
    share: float = value(number(0, 1), "retries for each recent request", default=0.2)
    per_second: float = value(
        number(0, 10_000), "retries that are allowed in any case", default=10.0
    )


@dataclass(frozen=True, slots=True)
class ResponseLimits:
    """How large the head of a response may be; 502 beyond."""

    header_field: int = value(whole(256, MEBIBYTE), "one header field", default=65_536)
    headers: int = value(
        whole(1_024, MEBIBYTE), "all header fields together", default=262_144
    )
    header_count: int = value(
        whole(8, 10_000), "number of header fields", default=1_000
    )


@dataclass(frozen=True, slots=True)
class UpstreamConfig:
    """A service behind the gateway, and how its replicas are found and used."""

    name: str
    addresses: tuple[Address, ...] = value(
        rules.each(values.address, least=1),
        "`http://name:port` stands for all addresses of a name, `srv://_http._tcp.name`"
        " for the targets of a service; `?probe=port` sets the port for probes",
        variable=UPSTREAM_VARIABLE,
    )
    balance: Balance = value(
        rules.choice(Balance),
        "`least_in_flight` picks the less busy one of two random replicas",
        default=Balance.LEAST_IN_FLIGHT,
    )
    max_in_flight: int = value(
        whole(1, 1_000_000),
        "requests at once; more wait 0.2 s for a place, then get 503, so that a hung"
        " upstream starves no other; a tenth is kept for routes of high priority",
        default=512,
    )
    concurrency: Concurrency = value(
        rules.choice(Concurrency),
        "`fixed` bounds requests by `max_in_flight`; `adaptive` also finds out how many"
        " the upstream works on without a queue; `off` sets no bound",
        default=Concurrency.FIXED,
    )
    quick_enough: float = value(
        number(0, 60), "a latency up to which `adaptive` refuses nothing", default=0.02
    )
    resolve_interval: float = value(
        number(0.05, HOUR),
        "between two look-ups of names; while they fail, the last result is used",
        default=5.0,
    )
    idle_connections: int = value(
        whole(0, 10_000), "unused connections open to each replica", default=64
    )
    idle_timeout: float = value(
        number(0.1, HOUR),
        "after which an unused connection is closed; less than the upstream's own (5 in"
        " Node, uvicorn and Apache, 2 in gunicorn): a POST that meets its close is 502",
        default=4.0,
    )
    slow_start: float = value(
        number(0, HOUR),
        "time in which a replica that joins or returns comes to its full share",
        default=3.0,
    )
    health: HealthConfig = table(HealthConfig)
    ejection: EjectionConfig = table(EjectionConfig)
    retries: RetryConfig = table(RetryConfig)
    response_limits: ResponseLimits = table(ResponseLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What concerns the whole gateway."""

    pseudonym: str = value(
        values.pseudonym,
        "the gateway's name in `Via`; a request that bears it already is 508, so two"
        " gateways in a row need two names",
        default="gateway",
        variable="GATEWAY_PSEUDONYM",
    )
    public_url: str = value(
        values.public_url,
        "what people call the gateway, for links in problems; without it they are"
        " relative to the request's URL",
        default="",
        variable="GATEWAY_PUBLIC_URL",
    )
    trusted_proxies: tuple[str, ...] = value(
        rules.each(values.network),
        "proxies in front of the gateway, which are believed when they name the client",
        default=(),
        variable="GATEWAY_TRUSTED_PROXIES",
    )
    trusted_header: str = value(
        values.trusted_header,
        "the header in which they name it; the other one is ignored",
        default="x-forwarded-for",
    )
    dropped_headers: tuple[str, ...] = value(
        rules.each(values.header_pattern),
        "headers of clients that upstreams might take for who they are or what they"
        " ask for; `*` at the end stands for every end",
        default=values.DROPPED_HEADERS,
    )
    rate_limit_store: str = value(
        values.store,
        "a URL where several gateways count together",
        default=values.MEMORY,
        variable="GATEWAY_RATE_LIMIT_STORE",
        is_secret=True,
    )
    rate_limits: bool = value(
        rules.yes_or_no,
        "`false`, or `off` in the variable, counts no client's requests: for load tests"
        " alone",
        default=True,
        variable="GATEWAY_RATE_LIMITS",
    )
    limits: Limits = table(Limits)
    client_timeouts: ClientTimeouts = table(ClientTimeoutsConfig)
    timeouts: Timeouts = table(Timeouts)
    cors: CorsConfig = table(CorsConfig)
    tls: TlsConfig | None = table(TlsConfig, is_optional=True)
    upstreams: tuple[UpstreamConfig, ...] = named(UpstreamConfig)
    routes: tuple[RouteConfig, ...] = array_of(RouteConfig)

    @property
    def upstream_connections(self) -> int:
        """How many connections to upstreams there may be.

        This is an estimate: an address that is a name may be several replicas.
        """
        return sum(
            each.max_in_flight + each.idle_connections * len(each.addresses)
            for each in self.upstreams
        )
