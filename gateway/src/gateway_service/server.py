"""The gateway's public side: its limits, what becomes of requests, and its end."""

import asyncio
import contextlib
import socket
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator

from gateway_service.http1 import problems
from gateway_service.http1.client import Client
from gateway_service.http1.connection import ClientConnection
from gateway_service.http1.deadlines import Deadlines
from gateway_service.http1.exchange import Exchange
from gateway_service.http1.parsing.limits import HeadLimits
from gateway_service.http1.server import EdgeServer
from gateway_service.http1.write_batch import WriteBatch
from gateway_service.operations.access_log import AccessLog
from gateway_service.operations.control import ControlPlane
from gateway_service.operations.metrics import GatewayMetrics
from gateway_service.proxy.headers import request_fields
from gateway_service.proxy.proxy import Proxy
from service_kit.health import Readiness
from service_kit.problems import Problem
from service_kit.sockets import BACKLOG, host_port, listen


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
        fields = request_fields(control.state.config.dropped_headers)
        super().__init__(fields, readiness, deadlines, batch, loop)
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
        self.fields = request_fields(config.dropped_headers)
        self.timeouts = config.client_timeouts
        self.connection_limit = limits.connections
        self.head_limits = HeadLimits(
            limits.request_line,
            limits.header_field,
            limits.headers,
            limits.header_count,
        )

    def admit(self, connection: Client) -> Problem | None:
        """Take note of a new connection, or say why it cannot be."""
        state, address = self._control.state, connection.address
        others = self._of_client[address]
        has_too_many = (
            others >= state.config.limits.connections_per_client
            and not state.proxies.trusts(address)
        )
        self._of_client[address] += 1
        problem = super().admit(connection)
        return problems.TOO_MANY_CONNECTIONS if has_too_many else problem

    def leave(self, connection: Client) -> None:
        """Take note that a connection is gone."""
        address = connection.address
        self._of_client[address] -= 1
        if not self._of_client[address]:
            del self._of_client[address]
        super().leave(connection)

    def new_connection(self) -> ClientConnection:
        """Return the protocol of a new connection."""
        return ClientConnection(self.loop, self)

    def handle(self, exchange: Exchange) -> None:
        """Respond to a request, now or later."""
        self._proxy.handle(exchange)

    def refuse(self, exchange: Exchange, problem: Problem, received: bytes) -> None:
        """Respond to bytes that could not be understood as a request."""
        self._proxy.refuse(exchange, problem, received)

    def ended(self, exchange: Exchange) -> None:
        """Take note of an exchange that is over."""
        seconds = time.monotonic() - exchange.started_at
        self.metrics.record(exchange, seconds)
        proxies = self._control.state.proxies
        client = proxies.client_behind(exchange.client.address, exchange.request.values)
        self._access_log.record(exchange, client, seconds)


@contextlib.asynccontextmanager
async def running(
    server: GatewayServer,
    control: ControlPlane,
    access_log: AccessLog,
    sockets: list[socket.socket],
    *,
    grace: float,
) -> AsyncIterator[str]:
    """Serve what comes to bound sockets, and yield the address of the first.

    In the end accept nothing more, let requests in flight end, then stop all else.
    """
    certificate = control.certificate
    context = certificate.context if certificate is not None else None
    try:
        await control.start()
        for each in sockets:
            listen(each)
        accepting = [
            await server.loop.create_server(
                server.new_connection, sock=each.dup(), ssl=context, backlog=BACKLOG
            )
            for each in sockets
        ]
        try:
            yield host_port(sockets[0].getsockname())
        finally:
            for site in accepting:
                site.close()
            await _accept_waiting(server, sockets, context, grace)
            await server.stop(grace)
    finally:
        await control.close()
        server.deadlines.close()
        await access_log.close()


async def _accept_waiting(
    server: GatewayServer,
    sockets: list[socket.socket],
    context: ssl.SSLContext | None,
    grace: float,
) -> None:
    """Take over every connection in the queues, then close the sockets at once.

    The system resets connections that it has accepted when nobody takes them over.
    """
    waiting = []
    for each in sockets:
        each.setblocking(False)  # noqa: FBT003 - the socket's signature
        with contextlib.suppress(OSError):
            while True:
                waiting.append(each.accept()[0])
        each.close()
    connect = server.loop.connect_accepted_socket
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(grace):
            await asyncio.gather(
                *(
                    connect(server.new_connection, each, ssl=context)
                    for each in waiting
                ),
                return_exceptions=True,
            )
