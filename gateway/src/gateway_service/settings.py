"""What one gateway process is told by its environment."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from service_kit.settings import LOG_LEVEL, seconds, setting, text, whole_number
from service_kit.settings import port as tcp_port


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """Where the gateway listens, how it runs, and which file it obeys.

    `config.file` reads further variables, which override single values of the file.
    """

    config: Path = setting(
        "GATEWAY_CONFIG",
        Path,
        default="deploy/gateway.toml",
        description="routes, upstreams, limits and origins",
    )
    host: str = setting(
        "GATEWAY_HOST", text, default="127.0.0.1", description="public address"
    )
    port: int = setting(
        "GATEWAY_PORT", tcp_port, default="8080", description="public port"
    )
    internal_host: str = setting(
        "GATEWAY_INTERNAL_HOST",
        text,
        default="127.0.0.1",
        description="address of livez, readyz, metrics and status",
    )
    internal_port: int = setting(
        "GATEWAY_INTERNAL_PORT",
        tcp_port,
        default="9080",
        description="port of livez, readyz, metrics and status",
    )
    workers: int = setting(
        "GATEWAY_WORKERS",
        whole_number(1, 64),
        default="1",
        description="processes that share the public port",
    )
    access_log: str = setting(
        "GATEWAY_ACCESS_LOG",
        text,
        default="-",
        description="a file, - for standard output, or off",
    )
    drain_delay: timedelta = setting(
        "GATEWAY_DRAIN_DELAY",
        seconds(0, 300),
        default="2",
        description="seconds it serves on after readiness has turned 503",
    )
    shutdown_grace: timedelta = setting(
        "GATEWAY_SHUTDOWN_GRACE",
        seconds(0, 3600),
        default="20",
        description="seconds that requests in flight may take after that",
    )
    log_level: str = setting(
        "GATEWAY_LOG_LEVEL", LOG_LEVEL, default="info", description="how much is logged"
    )
