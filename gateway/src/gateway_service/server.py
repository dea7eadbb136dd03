"""The gateway's public side as an aiohttp site sees it: a factory of connections."""

import asyncio
import contextlib
import logging
import socket
import time
from collections import Counter
from typing import Final, cast

from aiohttp import web

from gateway_service import problems
from gateway_service.access_log import AccessLog
from gateway_service.batch import WriteBatch
from gateway_service.client.pool import ConnectionPool
from gateway_service.control import ControlPlane
from gateway_service.deadlines import Deadlines
from gateway_service.edge import ClientConnection
from gateway_service.exchange import Exchange
from gateway_service.framing import HeadLimits
from gateway_service.metrics import RequestMetrics
from gateway_service.proxy import Proxy
from service_kit.errors import Problem
from service_kit.health import Readiness

_logger: Final = logging.getLogger(__name__)


class EdgeServer:
    """Makes a connection for each client, counts them, and ends them when it stops.

    It stands where aiohttp's own `web.Server` stands in a runner, and does for it what
    a runner calls: connections, `pre_shutdown` and `shutdown`.
    """

    def __init__(
        self,
        control: ControlPlane[ConnectionPool],
        readiness: Readiness,
        access_log: AccessLog,
        *,
        deadlines: Deadlines,
        batch: WriteBatch,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._control = control
        self._readiness = readiness
        self._access_log = access_log
        self._deadlines = deadlines
        self.batch = batch
        self._loop = loop
        self._connections: set[ClientConnection] = set()
        self._of_client: Counter[str] = Counter()
        self._all_gone = asyncio.Event()
        self._is_stopping = False
        self._proxy = Proxy(lambda: control.state)
        self.handle = self._proxy.handle
        self.refuse = self._proxy.refuse
        self.metrics = RequestMetrics(
            lambda: control.state,
            lambda: len(self._connections),
            lambda: access_log.dropped,
        )
        self.head_limits = HeadLimits()
        self.adopt_limits()

    def adopt_limits(self) -> None:
        """Take over limits and timeouts of a configuration that was read again."""
        config = self._control.state.config
        limits = config.limits
        self.timeouts = config.client_timeouts
        self.head_limits = HeadLimits(
            limits.request_line,
            limits.header_field,
            limits.headers,
            limits.header_count,
        )

    @property
    def connections(self) -> list[ClientConnection]:
        """Every connection that is open."""
        return list(self._connections)

    @property
    def is_draining(self) -> bool:
        """Whether connections end with their next answer."""
        return self._readiness.draining or self._is_stopping

    def __call__(self) -> ClientConnection:
        """Return the protocol of a new connection."""
        return ClientConnection(self._loop, self)

    def admit(self, connection: ClientConnection) -> Problem | None:
        """Take note of a new connection, or say why it cannot be."""
        state = self._control.state
        limits, address = state.config.limits, connection.address
        is_full = len(self._connections) >= limits.connections or (
            self._of_client[address] >= limits.connections_per_client
            and not state.proxies.trusts(connection.peer)
        )
        self._connections.add(connection)
        self._of_client[address] += 1
        self._deadlines.add(connection)
        return problems.TOO_MANY_CONNECTIONS if is_full else None

    def leave(self, connection: ClientConnection) -> None:
        """Take note that a connection is gone."""
        address = connection.address
        self._connections.discard(connection)
        self._deadlines.discard(connection)
        self._of_client[address] -= 1
        if not self._of_client[address]:
            del self._of_client[address]
        if not self._connections:
            self._all_gone.set()

    def ended(self, exchange: Exchange) -> None:
        """Take note of an exchange that is over."""
        seconds = time.monotonic() - exchange.started_at
        self.metrics.record(exchange, seconds)
        self._access_log.record(exchange, seconds)

    def pre_shutdown(self) -> None:
        """Close the connections that have nothing to do, the others after they did."""
        self._is_stopping = True
        for connection in self._connections:
            connection.close_when_idle()

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - aiohttp's
        """Let requests in flight end, and cut those that do not in time."""
        try:
            async with asyncio.timeout(timeout):
                while self._connections:
                    self._all_gone.clear()
                    await self._all_gone.wait()
        except TimeoutError:
            _logger.warning("requests_cut", extra={"count": len(self._connections)})
            for connection in list(self._connections):
                connection.cut()


class GatewayRunner(web.BaseRunner):
    """Starts what the gateway needs, and stops it in turn.

    ``listener`` is the public socket, if the runner is to empty its queue at the end:
    the system resets connections that it has accepted when nobody took them over.
    """

    def __init__(
        self,
        server: EdgeServer,
        control: ControlPlane[ConnectionPool],
        access_log: AccessLog,
        deadlines: Deadlines,
        *,
        grace: float,
        listener: socket.socket | None = None,
    ) -> None:
        super().__init__(handle_signals=False, shutdown_timeout=grace)
        self._edge = server
        self._control = control
        self._access_log = access_log
        self._deadlines = deadlines
        self._listener = listener

    async def cleanup(self) -> None:
        """Stop accepting, let requests in flight end, then stop everything else."""
        for site in self.sites:
            await site.stop()
        if self._listener is not None:
            await self._take_waiting(self._listener)
        await super().cleanup()

    async def shutdown(self) -> None:
        """Nothing to do: the server itself waits for requests in flight."""

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
        return cast("web.Server", self._edge)

    async def _cleanup_server(self) -> None:
        await self._control.close()
        self._deadlines.close()
        await self._access_log.close()
