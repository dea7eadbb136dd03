"""A gateway of the test, in this process, on real sockets."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from prometheus_client import CollectorRegistry
from tests.support.raw_client import RawClient, raw_client

from gateway_service.app import GatewayApp, create_app
from gateway_service.config.clients import CorsConfig
from gateway_service.config.model import (
    Config,
    HealthConfig,
    RouteConfig,
    Timeouts,
    UpstreamConfig,
)
from gateway_service.config.values import METHODS, Address
from gateway_service.operations.workers.last_good import load
from gateway_service.settings import GatewaySettings
from gateway_service.upstreams.upstream import Upstream

NO_PROBES: Final = HealthConfig(path="")
ALLOWED_ORIGIN: Final = "http://localhost:8081"
SHORT: Final = Timeouts(connect=0.5, response_head=0.5, idle=0.5, total=3.0)


@dataclass
class RunningGateway:
    """Where it listens, and what it is made of."""

    port: int
    app: GatewayApp
    access_log: Path
    _stack: contextlib.AsyncExitStack = field(repr=False)

    @property
    def content(self) -> Upstream:
        """The upstream of `config_for`."""
        return self.app.control.active.upstreams["content"]

    async def clients(
        self, count: int, request: bytes = b"", *, source: str = "127.0.0.1"
    ) -> list[RawClient]:
        """Open connections that last as long as the gateway; each sends a request."""
        opened = [
            await self._stack.enter_async_context(raw_client(self.port, source=source))
            for _ in range(count)
        ]
        for client in opened:
            await client.send(request)
        return opened

    async def client(
        self, request: bytes = b"", *, source: str = "127.0.0.1"
    ) -> RawClient:
        """Open one connection, as `clients` does."""
        [client] = await self.clients(1, request, source=source)
        return client

    def metric(self, name: str, **labels: str) -> float:
        """Return what it exports under a name, 0 where there is nothing."""
        registry = CollectorRegistry()
        registry.register(self.app.server.metrics)
        return registry.get_sample_value(f"gateway_{name}", labels) or 0.0


def upstream_config(name: str, *ports: int, **changes: Any) -> UpstreamConfig:  # noqa: ANN401
    """Return an upstream whose replicas listen on these ports."""
    upstream = UpstreamConfig(
        name=name,
        addresses=tuple(Address("127.0.0.1", port) for port in ports),
        health=NO_PROBES,
        slow_start=0.0,
    )
    return replace(upstream, **changes)


def config_for(*ports: int, **changes: Any) -> Config:  # noqa: ANN401
    """Return a configuration with everything below /api on one upstream.

    ``changes`` are the route's, the upstream's or the configuration's own.
    """
    upstream = upstream_config("content", *ports)
    route = RouteConfig(
        prefix="/api", upstream="content", methods=METHODS, timeouts=SHORT
    )
    config = Config(
        upstreams=(upstream,),
        routes=(route,),
        cors=CorsConfig(origins=frozenset({ALLOWED_ORIGIN}), credentials=True),
    )
    of_route = {k: v for k, v in changes.items() if hasattr(route, k)}
    of_upstream = {
        k: v for k, v in changes.items() if hasattr(upstream, k) and k not in of_route
    }
    of_config = {
        k: v for k, v in changes.items() if k not in of_route and k not in of_upstream
    }
    return replace(
        config,
        upstreams=(replace(upstream, **of_upstream),),
        routes=(replace(route, **of_route),),
        **of_config,
    )


@asynccontextmanager
async def running_gateway(
    config: Config,
    folder: Path,
    *,
    next_config: Config | None = None,
    **settings: Any,  # noqa: ANN401
) -> AsyncIterator[RunningGateway]:
    """Run a gateway for the length of a block; a reload reads ``next_config``."""
    log = folder / "access.log"
    values = {"access_log": str(log), **settings}
    start = await asyncio.to_thread(load, config)  # it reads files
    app = create_app(GatewaySettings(**values), lambda: next_config or config, start)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(app.serving([listener]))
        try:
            yield RunningGateway(port, app, log, stack)
        finally:
            async with asyncio.timeout(10):
                await stack.aclose()


def fallen_limit(upstream: Upstream, lately: int) -> float:
    """Return an adaptive limit after a queue, while one request is in flight.

    The upstream works on a tenth of its responses a second.
    """
    adaptive = upstream.adaptive
    assert adaptive is not None
    now = time.monotonic() + 100
    for look, seconds in enumerate((0.1, 1.0)):
        for _ in range(lately):
            adaptive.begin()
            adaptive.end(seconds)
        adaptive.tick(now + look)
    return upstream.limit
