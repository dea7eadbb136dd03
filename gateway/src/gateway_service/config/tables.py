"""Which keys each table of the configuration has, and what their values may be."""

from typing import Final

from gateway_service.config import rules
from gateway_service.config.model import (
    Balance,
    Config,
    CorsAccess,
    CorsConfig,
    EjectionConfig,
    HealthConfig,
    Limits,
    RateLimit,
    RetryConfig,
    RouteConfig,
    Timeouts,
    TlsConfig,
    UpstreamConfig,
)
from gateway_service.config.sections import Section
from service_kit.edge.connection import ClientTimeouts

_HOUR: Final = 3600
_DAY: Final = 86_400
_MEBIBYTE: Final = 1_048_576

LIMITS: Final = Section(
    Limits,
    {
        "request_line": rules.whole(256, 65_536),
        "header_field": rules.whole(256, 65_536),
        "headers": rules.whole(1_024, _MEBIBYTE),
        "header_count": rules.whole(8, 1_000),
        "body": rules.whole(0, 2**40),
        "connections": rules.whole(1, 1_000_000),
        "connections_per_client": rules.whole(1, 1_000_000),
    },
)
CLIENT_TIMEOUTS: Final = Section(
    ClientTimeouts,
    {
        "head": rules.number(0.1, _HOUR),
        "body": rules.number(0.1, _HOUR),
        "body_rate": rules.whole(1, 2**30),
        "send": rules.number(0.1, _HOUR),
        "keep_alive": rules.number(0.1, _HOUR),
    },
)
TIMEOUTS: Final = Section(
    Timeouts,
    {
        "connect": rules.number(0.01, 60),
        "response_head": rules.number(0.01, _HOUR),
        "idle": rules.number(0.01, _DAY),
        "total": rules.number_or_none(0.01, _DAY),
    },
)
CORS: Final = Section(
    CorsConfig,
    {
        "origins": rules.a_set(rules.origin),
        "credentials": rules.yes_or_no,
        "request_headers": rules.each(rules.header_name),
        "exposed_headers": rules.each(rules.header_name),
        "max_age": rules.whole(0, _DAY),
    },
)
RATE_LIMIT: Final = Section(
    RateLimit,
    {"requests": rules.whole(1, 1_000_000), "seconds": rules.whole(1, _DAY)},
)
ROUTE: Final = Section(
    RouteConfig,
    {
        "prefix": rules.prefix,
        "upstream": rules.name,
        "methods": rules.a_set(rules.method),
        "body_limit": rules.whole(0, 2**40),
        "timeouts": TIMEOUTS,
        "rate_limit": RATE_LIMIT,
        "cors": rules.choice(CorsAccess),
    },
)
HEALTH: Final = Section(
    HealthConfig,
    {
        "path": rules.probe_path,
        "port": rules.whole(0, 65_535),
        "interval": rules.number(0.05, _HOUR),
        "timeout": rules.number(0.05, 60),
        "failures": rules.whole(1, 100),
        "successes": rules.whole(1, 100),
    },
)
EJECTION: Final = Section(
    EjectionConfig,
    {
        "failures": rules.whole(1, 1_000),
        "first": rules.number(0.05, _HOUR),
        "longest": rules.number(0.05, _HOUR),
        "share": rules.number(0, 1),
    },
)
RETRIES: Final = Section(
    RetryConfig,
    {
        "attempts": rules.whole(1, 10),
        "attempt_timeout": rules.number(0.01, _HOUR),
        "share": rules.number(0, 1),
        "per_second": rules.number(0, 10_000),
    },
)
UPSTREAM: Final = Section(
    UpstreamConfig,
    {
        "addresses": rules.addresses,
        "balance": rules.choice(Balance),
        "max_in_flight": rules.whole(1, 1_000_000),
        "resolve_interval": rules.number(0.05, _HOUR),
        "idle_connections": rules.whole(0, 10_000),
        "idle_timeout": rules.number(0.1, _HOUR),
        "slow_start": rules.number(0, _HOUR),
        "health": HEALTH,
        "ejection": EJECTION,
        "retries": RETRIES,
    },
)
TLS: Final = Section(
    TlsConfig,
    {
        "certificate": rules.file_name,
        "key": rules.file_name,
        "hsts": rules.whole(0, 10 * 365 * _DAY),
    },
)
WHOLE: Final = Section(
    Config,
    {
        "pseudonym": rules.pseudonym,
        "trusted_proxies": rules.each(rules.network),
        "trusted_header": rules.trusted_header,
        "rate_limit_store": rules.store,
        "limits": LIMITS,
        "client_timeouts": CLIENT_TIMEOUTS,
        "cors": CORS,
        "tls": TLS,
    },
)
