"""The gateway as a process of its own, which is what gets signals."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.ports import free_ports, until_ready

_CONFIG = """
[cors]
origins = ["http://localhost:8081"]
[upstreams.content]
addresses = [{addresses}]
[upstreams.content.health]
path = ""
[[routes]]
prefix = "/api"
upstream = "content"
"""


@dataclass
class GatewayProcess:
    process: Process
    port: int
    internal_port: int
    config: Path
    log: Path

    async def exit_code(self, within: float = 10.0) -> int:
        return await asyncio.wait_for(self.process.wait(), within)

    def events(self) -> str:
        """Return what it has logged so far."""
        return self.log.read_text()


def write_config(path: Path, *ports: int) -> None:
    """Write a configuration whose upstream has replicas on these ports."""
    addresses = ", ".join(f'"http://127.0.0.1:{port}"' for port in ports)
    path.write_text(_CONFIG.format(addresses=addresses))


@asynccontextmanager
async def gateway_process(
    folder: Path,
    *upstream_ports: int,
    workers: int = 1,
    more_config: str = "",
    is_awaited: bool = True,
    stdout: int | None = None,
    before: tuple[str, ...] = (),
    **environment: str,
) -> AsyncIterator[GatewayProcess]:
    """Run ``gateway-service serve`` for the length of a block, from when it is ready.

    It is not waited for unless ``is_awaited``. ``before`` are arguments for Python,
    ahead of those that name the module.
    """
    config, log = folder / "gateway.toml", folder / "gateway.log"
    write_config(config, *upstream_ports)
    with config.open("a") as file:
        file.write(more_config)
    port, *internal_ports = free_ports(1 + workers)
    internal_port = await _free_run(internal_ports[0], workers)
    with log.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *before, "-m", "gateway_service", "serve"),
            *("--workers", str(workers)),
            env=os.environ
            | {
                "GATEWAY_CONFIG": str(config),
                "GATEWAY_PORT": str(port),
                "GATEWAY_INTERNAL_PORT": str(internal_port),
                "GATEWAY_ACCESS_LOG": str(folder / "access.log"),
                "GATEWAY_DRAIN_DELAY": "0.5",
                "GATEWAY_SHUTDOWN_GRACE": "5",
                **environment,
            },
            stdout=stdout,
            stderr=stderr,
        )
    try:
        for worker in range(workers if is_awaited else 0):
            await until_ready(f"http://127.0.0.1:{internal_port + worker}")
        yield GatewayProcess(process, port, internal_port, config, log)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGINT)
            await asyncio.wait_for(process.wait(), 10)


async def _free_run(first: int, count: int) -> int:
    """Return a port that is free together with those after it."""
    while count > 1:
        try:
            for port in range(first, first + count):
                server = await asyncio.start_server(lambda *_: None, "127.0.0.1", port)
                server.close()
                await server.wait_closed()
        except OSError:
            (first,) = free_ports(1)
        else:
            break
    return first
