"""The server of the gateway's public port."""

import asyncio
import logging
import time
from typing import Final

from gateway_service.http1.client import Client
from gateway_service.http1.client_counts import ClientCounts
from gateway_service.http1.deadlines import Deadlines
from gateway_service.http1.descriptors import Descriptors, room_for_clients
from gateway_service.http1.exchange import Exchange
from gateway_service.http1.server import EdgeServer
from gateway_service.http1.write_batch import WriteBatch
from gateway_service.operations.access_log import AccessLog
from gateway_service.operations.metrics import GatewayMetrics
from gateway_service.operations.tracing import ExchangeTracing
from gateway_service.operations.workers.control import ControlPlane
from gateway_service.proxy.headers import request_fields
from gateway_service.proxy.proxy import Proxy
from service_kit.health import Readiness
from service_kit.problems import Problem

_logger: Final = logging.getLogger(__name__)


class GatewayServer(EdgeServer):
    """Forwards requests, limits connections by client, counts and logs."""

    def __init__(
        self,
        control: ControlPlane,
        readiness: Readiness,
        access_log: AccessLog,
        *,
        deadlines: Deadlines,
        batch: WriteBatch,
        descriptors: Descriptors,
        loop: asyncio.AbstractEventLoop,
        tracing: ExchangeTracing | None = None,
        client_counts: ClientCounts | None = None,
    ) -> None:
        fields = request_fields(control.active.config.dropped_headers)
        super().__init__(
            fields,
            readiness,
            deadlines,
            batch,
            loop,
            descriptors=descriptors,
            client_counts=client_counts,
        )
        self._control = control
        self._access_log = access_log
        self._proxy = Proxy()
        self.tracing = tracing
        self.metrics = GatewayMetrics(control, self, lambda: access_log.dropped)
        self.adopt_limits()

    def adopt_limits(self) -> None:
        """Apply the limits and timeouts of a reloaded configuration."""
        config = self._control.active.config
        limits = config.limits
        self.fields = request_fields(config.dropped_headers)
        self.timeouts = config.client_timeouts
        room = room_for_clients(config.upstream_connections)
        self.connection_limit = min(limits.connections, room)
        # Where descriptors are scarce no client has more than half of them.
        self.client_limit = min(limits.connections_per_client, room // 2)
        if room < limits.connections:
            _logger.warning(
                "connections_limited_by_descriptors",
                extra={"limits.connections": limits.connections, "connections": room},
            )
        self.head_limits = limits.head
        self.held_bytes.limit = limits.held
        for each in self.connections:
            each.adopt_limits()

    def trusts(self, connection: Client) -> bool:
        """Return whether a connection is one of many clients' proxy."""
        return self._control.active.proxies.trusts(connection.address)

    def handle(self, exchange: Exchange) -> None:
        """Respond to a request, now or later."""
        if self.tracing is not None:
            is_trusted = self.trusts(exchange.client)
            self.tracing.begin(exchange, is_trusted=is_trusted)
        self._proxy.handle(exchange, self._control.active)

    def refuse(self, exchange: Exchange, problem: Problem, received: bytes) -> None:
        """Respond to bytes that could not be understood as a request."""
        self._proxy.refuse(exchange, problem, received, self._control.active)

    def ended(self, exchange: Exchange) -> None:
        """Record an exchange that is over."""
        seconds = time.monotonic() - exchange.started_at
        self.metrics.record(exchange, seconds)
        if self.tracing is not None:
            self.tracing.end(exchange, seconds)
        client = exchange.client_address(self._control.active.proxies)
        self._access_log.record(exchange, client, seconds)
