"""Where a service listens, how it leaves, what it logs and how."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from service_kit import settings as parse
from service_kit.observability.log_format import LogFormat
from service_kit.observability.tracing import collector_url
from service_kit.settings import setting


def public_port(default: str) -> Any:  # noqa: ANN401 - stands in for a field
    """Declare the public port, whose default is the service's own."""
    return setting(parse.port, default=default, description="port to listen on")


def internal_port(default: str) -> Any:  # noqa: ANN401 - stands in for a field
    """Declare the internal port, whose default is the service's own."""
    return setting(
        parse.port, default=default, description="livez, readyz, metrics, status"
    )


@dataclass(frozen=True, kw_only=True)
class ListenerSettings:
    """The settings that every service has; each redeclares its ports."""

    host: str = setting(default="127.0.0.1", description="address to listen on")
    port: int = public_port("0")
    internal_host: str = setting(
        default="127.0.0.1", description="address of the internal port"
    )
    internal_port: int = internal_port("0")
    log_level: str = setting(
        parse.one_of("debug", "info", "warning", "error"),
        default="info",
        description="debug, info, warning or error",
    )
    log_format: LogFormat = setting(
        parse.member_of(LogFormat),
        default="auto",
        description="text for people, json for programs; auto: text on a terminal",
    )
    otlp_endpoint: str | None = setting(
        collector_url,
        optional=True,
        description="collector that gets spans by OTLP over HTTP; needs the extra otel",
    )
    drain_delay: timedelta = setting(
        parse.seconds(0, 300),
        default="2",
        description="seconds it serves on, not ready, after SIGTERM",
    )
    shutdown_grace: timedelta = setting(
        parse.seconds(0, 3600),
        default="20",
        description="seconds for requests in flight after that",
    )
