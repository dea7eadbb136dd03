"""The public side: what its connections have in common, and how they all end."""

import asyncio
import logging
from abc import ABC, abstractmethod
from typing import Final

from gateway_service.http1 import problems
from gateway_service.http1.client import Client
from gateway_service.http1.deadlines import Deadlines
from gateway_service.http1.exchange import Exchange
from gateway_service.http1.parsing.fields import FieldPolicy
from gateway_service.http1.parsing.limits import ClientTimeouts, HeadLimits
from gateway_service.http1.turns import Turns
from gateway_service.http1.write_batch import WriteBatch
from service_kit.health import Readiness
from service_kit.problems import Problem

_logger: Final = logging.getLogger(__name__)


class EdgeServer(ABC):
    """Admits connections, has their requests handled, and ends them when it stops."""

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
        self.loop = loop
        self.turns = Turns(loop)
        self._readiness = readiness
        self._connections: set[Client] = set()
        self._all_gone = asyncio.Event()
        self._is_stopping = False

    @abstractmethod
    def handle(self, exchange: Exchange) -> None:
        """Respond to a request, now or later."""

    @abstractmethod
    def refuse(self, exchange: Exchange, problem: Problem, received: bytes) -> None:
        """Respond to bytes that could not be understood as a request."""

    @abstractmethod
    def ended(self, exchange: Exchange) -> None:
        """Take note of an exchange that is over."""

    @property
    def connections(self) -> list[Client]:
        """Every connection that is open."""
        return list(self._connections)

    @property
    def is_draining(self) -> bool:
        """Whether connections end with their next response."""
        return self._readiness.draining or self._is_stopping

    def admit(self, connection: Client) -> Problem | None:
        """Take note of a new connection, or say why it cannot be."""
        is_full = len(self._connections) >= self.connection_limit
        self._connections.add(connection)
        self.deadlines.add(connection)
        return problems.TOO_MANY_CONNECTIONS if is_full else None

    def leave(self, connection: Client) -> None:
        """Take note that a connection is gone."""
        self._connections.discard(connection)
        self.deadlines.discard(connection)
        if not self._connections:
            self._all_gone.set()

    async def stop(self, grace: float) -> None:
        """Close idle connections now, busy ones after their response.

        Those that are busy for more than ``grace`` seconds are cut.
        """
        self._is_stopping = True
        for connection in self._connections:
            connection.close_when_idle()
        try:
            async with asyncio.timeout(grace):
                while self._connections:
                    self._all_gone.clear()
                    await self._all_gone.wait()
        except TimeoutError:
            _logger.warning("requests_cut", extra={"count": len(self._connections)})
            for connection in list(self._connections):
                connection.cut()
