"""Compose the gateway."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial

from aiohttp import web
from prometheus_client import CollectorRegistry

from gateway_service.config.model import Config, UpstreamConfig
from gateway_service.http1.deadlines import Deadlines
from gateway_service.http1.descriptors import Descriptors
from gateway_service.http1.write_batch import WriteBatch
from gateway_service.operations.access_log import AccessLog
from gateway_service.operations.status import status_of
from gateway_service.operations.tracing import ExchangeTracing
from gateway_service.operations.workers.control import ControlPlane
from gateway_service.operations.workers.last_good import Loaded, load
from gateway_service.operations.workers.shared_memory import SharedMemory
from gateway_service.server import GatewayServer
from gateway_service.serving import running
from gateway_service.settings import GatewaySettings
from gateway_service.upstreams.connections.pool import ConnectionPool
from gateway_service.upstreams.endpoint import Endpoint
from gateway_service.upstreams.watching.reports import UpstreamReports
from gateway_service.upstreams.watching.watching import UpstreamWatch
from service_kit.health import Readiness
from service_kit.observability.tracing import SpanSender
from service_kit.running.internal_app import create_internal_app


@dataclass(frozen=True, slots=True)
class GatewayApp:
    """A gateway that is ready to be started."""

    serving: Callable[[list[socket.socket]], AbstractAsyncContextManager[str]]
    """Serves on bound sockets inside its block, and closes them at the end."""
    server: GatewayServer
    internal_app: web.Application
    readiness: Readiness
    control: ControlPlane
    reload: Callable[[], asyncio.Task[None]]
    """Read the configuration again, and open the access log again."""


@dataclass(frozen=True, slots=True)
class SharedByWorkers:
    """What one of several workers shares with the others."""

    reports: UpstreamReports
    memory: SharedMemory
    worker: int


def create_app(
    settings: GatewaySettings,
    read_config: Callable[[], Config],
    start: Loaded | None = None,
    shared: SharedByWorkers | None = None,
) -> GatewayApp:
    """Return a gateway for the running event loop.

    ``start`` is what it begins with, if not what ``read_config`` returns now, and
    ``shared`` what it has in common with other workers, if it is one of several.

    Raises `ConfigError`: the configuration cannot be used.
    """
    loop = asyncio.get_running_loop()
    start = start or load(read_config())
    readiness, registry = Readiness(), CollectorRegistry()
    deadlines, batch = Deadlines(loop), WriteBatch(loop)
    descriptors = Descriptors(loop)

    def make_pool(endpoint: Endpoint, config: UpstreamConfig) -> ConnectionPool:
        return ConnectionPool(
            endpoint, config, deadlines, batch, loop, descriptors=descriptors
        )

    control = ControlPlane(
        start.config,
        read_config,
        make_pool,
        start.certificate,
        watch=UpstreamWatch if shared is None else shared.reports.watch,
        count_in=None if shared is None else shared.memory.rate_counter,
    )
    readiness.checks["upstreams"] = control.starting_fault
    readiness.warnings["rate_limits"] = control.limits_warning
    access_log = AccessLog(settings.access_log, loop, settings.log_format)
    counts = None if shared is None else shared.memory.client_counts(shared.worker)
    server = GatewayServer(
        control,
        readiness,
        access_log,
        deadlines=deadlines,
        batch=batch,
        descriptors=descriptors,
        loop=loop,
        tracing=_tracing(settings),
        client_counts=counts,
    )
    registry.register(server.metrics)
    reloads: set[asyncio.Task[None]] = set()

    async def reload() -> None:
        access_log.reopen()
        if await control.reload():
            server.adopt_limits()

    def begin_reload() -> asyncio.Task[None]:
        task = loop.create_task(reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)
        return task

    async def status() -> dict[str, object]:
        return {"requests": server.metrics.totals(), **status_of(control)}

    return GatewayApp(
        serving=partial(
            running,
            server,
            control,
            access_log,
            grace=settings.shutdown_grace.total_seconds(),
            shares_port=settings.share_port,
        ),
        server=server,
        internal_app=create_internal_app("gateway", readiness, registry, status),
        readiness=readiness,
        control=control,
        reload=begin_reload,
    )


def _tracing(settings: GatewaySettings) -> ExchangeTracing | None:
    if settings.otlp_endpoint is None:
        return None
    sender = SpanSender("gateway", settings.otlp_endpoint)
    return ExchangeTracing(sender, settings.traced_percent)
