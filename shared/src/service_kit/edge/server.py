"""The public side of a service as an aiohttp site sees it: a factory of connections."""

import asyncio
import logging
from abc import ABC, abstractmethod
from typing import Final, cast

from aiohttp import web

from service_kit.edge import problems
from service_kit.edge.batch import WriteBatch
from service_kit.edge.connection import ClientConnection, ClientTimeouts
from service_kit.edge.deadlines import Deadlines
from service_kit.edge.exchange import Exchange
from service_kit.edge.fields import FieldPolicy
from service_kit.edge.framing import HeadLimits
from service_kit.health import Readiness
from service_kit.problems import Problem

_logger: Final = logging.getLogger(__name__)


class EdgeServer(ABC):
    """Makes a connection for each client, and ends them all when it stops.

    It stands where aiohttp's own `web.Server` stands in a runner, and does for it what
    a runner calls: connections, `pre_shutdown` and `shutdown`.
    """

    timeouts = ClientTimeouts()
    head_limits = HeadLimits()
    connection_limit = 10_000

    def __init__(
        self,
        fields: FieldPolicy,
        readiness: Readiness,
        deadlines: Deadlines,
        batch: WriteBatch,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.fields = fields
        self.batch = batch
        self.deadlines = deadlines
        self._readiness = readiness
        self._loop = loop
        self._connections: set[ClientConnection] = set()
        self._all_gone = asyncio.Event()
        self._is_stopping = False

    @abstractmethod
    def handle(self, exchange: Exchange) -> None:
        """Answer a request, now or later."""

    @abstractmethod
    def refuse(self, exchange: Exchange, problem: Problem, received: bytes) -> None:
        """Answer octets that could not be understood as a request."""

    @abstractmethod
    def ended(self, exchange: Exchange) -> None:
        """Take note of an exchange that is over."""

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
        is_full = len(self._connections) >= self.connection_limit
        self._connections.add(connection)
        self.deadlines.add(connection)
        return problems.TOO_MANY_CONNECTIONS if is_full else None

    def leave(self, connection: ClientConnection) -> None:
        """Take note that a connection is gone."""
        self._connections.discard(connection)
        self.deadlines.discard(connection)
        if not self._connections:
            self._all_gone.set()

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


class EdgeRunner(web.BaseRunner):
    """Starts a server of one's own, and stops it in turn."""

    def __init__(self, server: EdgeServer, *, grace: float) -> None:
        super().__init__(handle_signals=False, shutdown_timeout=grace)
        self._edge = server

    async def shutdown(self) -> None:
        """Nothing to do: the server itself waits for requests in flight."""

    async def _make_server(self) -> web.Server:
        return cast("web.Server", self._edge)

    async def _cleanup_server(self) -> None:
        """Nothing to do: who made the server ends what it was given."""
