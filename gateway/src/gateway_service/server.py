"""The gateway's public side: its limits, what becomes of requests, and its end."""

import asyncio
import contextlib
import socket
import time
from collections import Counter

from aiohttp import web

from gateway_service.operations.access_log import AccessLog
from gateway_service.operations.control import ControlPlane
from gateway_service.operations.metrics import GatewayMetrics
from gateway_service.proxy.headers import REQUEST_FIELDS
from gateway_service.proxy.proxy import Proxy
from service_kit.edge import problems
from service_kit.edge.batch import WriteBatch
from service_kit.edge.connection import ClientConnection
from service_kit.edge.deadlines import Deadlines
from service_kit.edge.exchange import Exchange
from service_kit.edge.framing import HeadLimits
from service_kit.edge.server import EdgeRunner, EdgeServer
from service_kit.health import Readiness
from service_kit.problems import Problem


class GatewayServer(EdgeServer):
    """Has requests forwarded, limits connections by client, counts and logs."""

    def __init__(
        self,
        control: ControlPlane,
        readiness: Readiness,
        access_log: AccessLog,
        *,
        deadlines: Deadlines,
        batch: WriteBatch,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(REQUEST_FIELDS, readiness, deadlines, batch, loop)
        self._control = control
        self._access_log = access_log
        self._of_client: Counter[str] = Counter()
        self._proxy = Proxy(lambda: control.state)
        self.metrics = GatewayMetrics(
            lambda: control.state,
            lambda: len(self._connections),
            lambda: access_log.dropped,
        )
        self.adopt_limits()

    def adopt_limits(self) -> None:
        """Take over limits and timeouts of a configuration that was read again."""
        config = self._control.state.config
        limits = config.limits
        self.timeouts = config.client_timeouts
        self.connection_limit = limits.connections
        self.head_limits = HeadLimits(
            limits.request_line,
            limits.header_field,
            limits.headers,
            limits.header_count,
        )

    def admit(self, connection: ClientConnection) -> Problem | None:
        """Take note of a new connection, or say why it cannot be."""
        state, address = self._control.state, connection.address
        others = self._of_client[address]
        is_crowd = (
            others >= state.config.limits.connections_per_client
            and not state.proxies.trusts(address)
        )
        self._of_client[address] += 1
        problem = super().admit(connection)
        return problems.TOO_MANY_CONNECTIONS if is_crowd else problem

    def leave(self, connection: ClientConnection) -> None:
        """Take note that a connection is gone."""
        address = connection.address
        self._of_client[address] -= 1
        if not self._of_client[address]:
            del self._of_client[address]
        super().leave(connection)

    def handle(self, exchange: Exchange) -> None:
        """Answer a request, or send it on, whose answer comes later."""
        self._proxy.handle(exchange)

    def refuse(self, exchange: Exchange, problem: Problem, received: bytes) -> None:
        """Answer octets that could not be understood as a request."""
        self._proxy.refuse(exchange, problem, received)

    def ended(self, exchange: Exchange) -> None:
        """Take note of an exchange that is over."""
        seconds = time.monotonic() - exchange.started_at
        self.metrics.record(exchange, seconds)
        self._access_log.record(exchange, seconds)


class GatewayRunner(EdgeRunner):
    """Starts what the gateway needs, and stops it in turn.

    ``listener`` is the public socket, if the runner is to empty its queue at the end:
    the system resets connections that it has accepted when nobody took them over.
    """

    def __init__(
        self,
        server: GatewayServer,
        control: ControlPlane,
        access_log: AccessLog,
        *,
        grace: float,
        listener: socket.socket | None = None,
    ) -> None:
        super().__init__(server, grace=grace)
        self._control = control
        self._access_log = access_log
        self._listener = listener

    async def cleanup(self) -> None:
        """Stop accepting, let requests in flight end, then stop everything else."""
        for site in self.sites:
            await site.stop()
        if self._listener is not None:
            await self._take_waiting(self._listener)
        await super().cleanup()

    async def _take_waiting(self, listener: socket.socket) -> None:
        """Take over every connection in the queue, then close the socket at once."""
        waiting = []
        listener.setblocking(False)  # noqa: FBT003 - the socket's signature
        with contextlib.suppress(BlockingIOError):
            while True:
                waiting.append(listener.accept()[0])
        listener.close()
        certificate = self._control.certificate
        context = certificate.context if certificate is not None else None
        loop = asyncio.get_running_loop()
        for each in waiting:
            await loop.connect_accepted_socket(self._edge, each, ssl=context)

    async def _make_server(self) -> web.Server:
        await self._control.start()
        return await super()._make_server()

    async def _cleanup_server(self) -> None:
        await self._control.close()
        self._edge.deadlines.close()
        await self._access_log.close()
