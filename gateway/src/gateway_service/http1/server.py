"""The server of the public port: its limits, its connections and their end."""

import asyncio
import heapq
import logging
import time
from abc import ABC, abstractmethod
from collections import Counter
from typing import Final

from gateway_service.http1.client import LINGER, Client
from gateway_service.http1.client_counts import (
    SMALL_CLIENT,
    ClientCounts,
    OwnClientCounts,
)
from gateway_service.http1.deadlines import Deadlines
from gateway_service.http1.descriptors import Descriptors
from gateway_service.http1.exchange import Exchange
from gateway_service.http1.held_bytes import HeldBytes
from gateway_service.http1.parsing.fields import FieldPolicy
from gateway_service.http1.parsing.limits import ClientTimeouts, HeadLimits
from gateway_service.http1.turns import Turns
from gateway_service.http1.write_batch import WriteBatch
from service_kit.health import Readiness
from service_kit.problems import Problem

_LEAVING_AT_ONCE: Final = 128
"""Refused connections that get a response; others are closed without one."""

_SPARE: Final = 32
"""One in so many places is kept free: when it is taken, idle connections are closed."""

_PAUSE: Final = 5
"""Times as long as a search for idle connections took (20 ms of 10,000) until the next,
where it found few: a crowd of new connections must not become as many searches."""

_logger: Final = logging.getLogger(__name__)


class EdgeServer(ABC):
    """Admits connections, has their requests handled, and ends them when it stops."""

    connection_limit = 10_000
    client_limit = 1_000
    """Connections of one client."""

    def __init__(
        self,
        fields: FieldPolicy,
        readiness: Readiness,
        deadlines: Deadlines,
        batch: WriteBatch,
        loop: asyncio.AbstractEventLoop,
        *,
        descriptors: Descriptors,
        client_counts: ClientCounts | None = None,
    ) -> None:
        self.fields = fields
        self.timeouts = ClientTimeouts()
        self.head_limits = HeadLimits()
        self.batch = batch
        self.deadlines = deadlines
        self.descriptors = descriptors
        descriptors.make_room = self.make_room
        self.loop = loop
        self.turns = Turns(loop)
        self._readiness = readiness
        self._connections: set[Client] = set()
        self._client_counts = client_counts or OwnClientCounts()
        self._leaving: set[Client] = set()
        """Connections that take no place: they were refused, or shed."""
        everyone = (self._connections, self._leaving)
        self.held_bytes = HeldBytes(everyone, self.trusts, loop)
        deadlines.add(self.held_bytes)
        self.refused = 0
        """Connections that were not admitted."""
        self.shed = 0
        """Connections without a request that were closed to make room."""
        self._look_at = 0.0
        self._all_gone = asyncio.Event()
        self.is_stopping = False
        """Whether the drain delay is over, if there was one."""

    @abstractmethod
    def handle(self, exchange: Exchange) -> None:
        """Respond to a request, now or later."""

    @abstractmethod
    def refuse(self, exchange: Exchange, problem: Problem, received: bytes) -> None:
        """Respond to bytes that could not be understood as a request."""

    @abstractmethod
    def ended(self, exchange: Exchange) -> None:
        """Record an exchange that is over."""

    @abstractmethod
    def trusts(self, connection: Client) -> bool:
        """Return whether a connection is one of many clients' proxy."""

    @property
    def connections(self) -> list[Client]:
        """Every connection that is open."""
        return list(self._connections)

    @property
    def is_draining(self) -> bool:
        """Whether connections end with their next response."""
        return self._readiness.draining or self.is_stopping

    def admit(self, connection: Client) -> bool:
        """Register an accepted connection; return whether it may stay.

        If not, it does not count against the limit.
        """
        self.deadlines.add(connection)
        spare = self.connection_limit // _SPARE
        if len(self._connections) + spare >= self.connection_limit:
            self.make_room()
        if self._has_place_for(connection) and self._takes_place(connection):
            return True
        self.refused += 1
        self._leaving.add(connection)
        return False

    def refuses(self, connection: Client) -> bool:
        """Return whether a new connection gets a response that refuses it.

        If too many are getting one already, it is closed without.
        """
        if connection not in self._leaving:
            return False
        if len(self._leaving) > _LEAVING_AT_ONCE:
            connection.cut()
            return False
        return True

    def leave(self, connection: Client) -> None:
        """Forget a connection that is gone."""
        self.deadlines.discard(connection)
        self._leaving.discard(connection)
        if connection in self._connections:
            self._give_up_place(connection)
        if not self._connections and not self._leaving:
            self._all_gone.set()

    def make_room(self) -> None:
        """Close idle connections: of the clients with most of them, the longest idle.

        If a client has very many, those are closed, too, whose TLS handshake, or whose
        request's head or awaited body, is not complete. Clients can open new ones.
        """
        now = time.monotonic()
        if now < self._look_at:
            return
        # Counted here: to read what workers share takes 5 us for each connection.
        # A proxy has none, for each of its connections is another client's.
        counts = Counter(c.network for c in self._connections if not self.trusts(c))
        most = max(1, self.connection_limit // _SPARE)
        closing = heapq.nsmallest(
            most,
            (
                each
                for each in self._connections
                if each.is_idle
                or (each.can_give_way and counts[each.network] > SMALL_CLIENT)
            ),
            key=lambda c: (-counts[c.network], not c.is_idle, c.deadline),
        )
        for each in closing:
            self._give_up_place(each)
            self._leaving.add(each)
            each.give_way()
            # No limit counts it any more, and over TLS its client may say no goodbye.
            each.deadline = min(each.deadline, now + LINGER)
        self.shed += len(closing)
        if len(closing) < most:
            ended_at = time.monotonic()
            self._look_at = ended_at + _PAUSE * (ended_at - now)

    def _has_place_for(self, connection: Client) -> bool:
        return (
            len(self._connections) < self.connection_limit
            and self.share_of(connection) < self.client_limit
        )

    def _takes_place(self, connection: Client) -> bool:
        """Count a connection, unless another worker took the last place just before."""
        count = self._client_counts.add(connection.network)
        if count > self.client_limit and not self.trusts(connection):
            self._client_counts.remove(connection.network)
            return False
        self._connections.add(connection)
        return True

    def share_of(self, connection: Client) -> int:
        """Return how many connections the client has; it may be many clients' proxy."""
        if self.trusts(connection):
            return 0
        return self._client_counts.of(connection.network)

    def own_share_of(self, connection: Client) -> int:
        """Return how many of them this process has."""
        if self.trusts(connection):
            return 0
        return self._client_counts.own(connection.network)

    def _give_up_place(self, connection: Client) -> None:
        self._connections.discard(connection)
        self._client_counts.remove(connection.network)

    async def stop(self, grace: float) -> None:
        """Close idle connections now, busy ones after their response.

        Those that are busy for more than ``grace`` seconds are cut.
        """
        self.is_stopping = True
        for connection in self._connections:
            connection.close_when_idle()
        try:
            async with asyncio.timeout(grace):
                while self._connections or self._leaving:
                    self._all_gone.clear()
                    await self._all_gone.wait()
        except TimeoutError:
            _logger.warning("requests_cut", extra={"count": len(self._connections)})
            for connection in [*self._connections, *self._leaving]:
                connection.cut()
