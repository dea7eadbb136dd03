"""The settings of one gateway process."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from service_kit.running.listener import ListenerSettings, internal_port, public_port
from service_kit.settings import boolean, setting, whole_number


@dataclass(frozen=True, kw_only=True)
class GatewaySettings(ListenerSettings):
    """Where the gateway listens, how it runs, and which file it reads.

    `config.file` reads further variables, which override single keys of the file.
    """

    prefix: ClassVar = "GATEWAY_"

    port: int = public_port("8080")
    internal_port: int = internal_port("9080")
    config: Path = setting(
        Path,
        default="deploy/gateway.toml",
        description="routes, upstreams, limits and origins",
    )
    workers: int = setting(
        whole_number(1, 64),
        default="1",
        description="processes that share the public port",
    )
    share_port: bool = setting(
        boolean,
        default="off",
        description="on lets other gateways of the same user listen on the port, too",
    )
    access_log: str = setting(
        default="-", description="a file, - for standard output, or off"
    )
    traced_percent: int = setting(
        whole_number(0, 100),
        default="100",
        description="of traces that begin here: how many are recorded",
    )

    @property
    def internal_ports(self) -> list[int]:
        """The internal port of each worker, in a row; 0 if the system chooses."""
        first = self.internal_port
        return [first + i if first else 0 for i in range(self.workers)]
