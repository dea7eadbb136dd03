"""How many requests may be in flight at an upstream, and whose."""

from math import inf
from typing import Final

from gateway_service.config.model import UpstreamConfig
from gateway_service.config.values import Concurrency
from gateway_service.http1.deadlines import ONE_TURN
from gateway_service.http1.exchange import Exchange
from gateway_service.upstreams.clients import FEW, LARGEST_CLIENT, UpstreamClients
from gateway_service.upstreams.concurrency import AdaptiveLimit
from gateway_service.upstreams.queue import LONGEST_IN_LINE, Queue, give_up

NORMAL_SHARE: Final = 0.9
"""The part of the bound that requests of normal priority may take, rounded up."""

EXCESS: Final = 0.1
"""Of an adaptive limit, one place at least, by which clients with few connections may
exceed it. With its headroom, responses still take less than what makes it fall."""

WAITING_SHARE: Final = 0.5
"""The part of the bound that requests may take which wait for more than the upstream:
for the rest of their bodies, with `Prefer: wait`, as streams of events or as tunnels.
Also beside an adaptive limit, until their responses begin: they may be work as well.

They cost a client nothing.
"""


class Places:
    """The places of one upstream: its bulkhead, its adaptive limit, and who waits."""

    def __init__(self, config: UpstreamConfig, now: float) -> None:
        self.in_flight = 0
        self.waiting = 0
        """Of those in flight, the ones whose response waits by design."""
        self.shed = 0
        """Requests refused because there were too many."""
        self.clients = UpstreamClients()
        self.in_line = 0
        """Requests that wait for a place."""
        self._line, self._urgent_line = Queue(), Queue()
        is_off = config.concurrency is Concurrency.OFF
        self._bound = inf if is_off else config.max_in_flight
        self._normal_bound = self._bound * NORMAL_SHARE
        self.adaptive: AdaptiveLimit | None = None
        """Of what the upstream works on, if it has one."""
        if config.concurrency is Concurrency.ADAPTIVE:
            self.adaptive = AdaptiveLimit(
                config.max_in_flight, config.quick_enough, now
            )

    @property
    def is_full(self) -> bool:
        """Whether the bulkhead lets no further request through."""
        return self.in_flight >= self._bound

    @property
    def limit(self) -> float:
        """How many requests it may work on at present."""
        return self._bound if self.adaptive is None else self.adaptive.limit

    def has_place(self, exchange: Exchange, *, is_urgent: bool = False) -> bool:
        """Return whether a request may be in flight now."""
        is_admitted = self.admits(is_urgent=is_urgent)
        return (
            is_admitted or self.may_exceed_limit(exchange)
        ) and self.clients.has_room(exchange, self.in_flight, self._bound)

    def may_wait(self, exchange: Exchange, *, is_urgent: bool) -> bool:
        """Return whether a request may wait in line for a place.

        Beyond an adaptive limit no more requests wait than it admits, no more than its
        share of one client, and none of a client that may have taken all of it.
        """
        adaptive = self.adaptive
        return (
            is_urgent
            or adaptive is None
            or adaptive.working < adaptive.limit
            or (
                self.in_line < adaptive.limit
                and self._line.count_of(exchange)
                < max(1, adaptive.limit * LARGEST_CLIENT)
                and self.clients.has_few(exchange, adaptive.limit)
            )
        )

    async def wait_for_place(self, exchange: Exchange, *, is_urgent: bool) -> bool:
        """Return whether a request gets a place in time, and may have waited for it.

        It is to be taken immediately, and then `admit_next` called: also if it was not.
        """
        if not self.may_wait(exchange, is_urgent=is_urgent):
            return False
        line = self._urgent_line if is_urgent else self._line
        turn = line.join(exchange)
        loop = exchange.client.loop
        # Once what has come is read: responses that make room may be among it.
        timer = loop.call_later(
            LONGEST_IN_LINE, loop.call_later, ONE_TURN, give_up, turn
        )
        self.in_line += 1
        try:
            return await turn
        finally:
            self.in_line -= 1
            timer.cancel()
            line.leave(exchange, turn)
            if not turn.cancelled() and turn.result():
                self._reserve(-1)

    def admit_next(self) -> None:
        """Let requests in line go on where places became free, urgent ones first."""
        if not self.in_line:
            return
        while not self.is_full and self._urgent_line.admit(self._has_urgent_place):
            self._reserve(1)
        while self.in_flight < self._normal_bound and self._line.admit(self.has_place):
            self._reserve(1)

    def _has_urgent_place(self, exchange: Exchange) -> bool:
        return self.has_place(exchange, is_urgent=True)

    def _reserve(self, by: int) -> None:
        """Count a place as taken until its request goes on, so no other comes first."""
        self.in_flight += by
        if self.adaptive is not None:
            self.adaptive.working += by

    def may_exceed_limit(self, exchange: Exchange) -> bool:
        """Return whether a request may exceed an adaptive limit that is reached.

        By a tenth, or one, and not that of a client which may have taken all of it.
        """
        adaptive = self.adaptive
        return (
            adaptive is not None
            and 0 <= adaptive.working - adaptive.limit < max(1, adaptive.limit * EXCESS)
            and self.in_flight < self._normal_bound
            and self.clients.has_few(exchange, adaptive.limit)
        )

    def has_room_to_wait(self, exchange: Exchange) -> bool:
        """Return whether its client may have one more request that waits."""
        clients, adaptive = self.clients, self.adaptive
        if not clients.has_room(exchange, self.waiting, self._bound * WAITING_SHARE):
            return False
        if adaptive is None:
            return True
        places = adaptive.limit * WAITING_SHARE
        return clients.has_room(exchange, adaptive.waiting, places, FEW)

    def admits(self, *, is_urgent: bool) -> bool:
        """Return whether there may be one more request in flight."""
        adaptive = self.adaptive
        if self.in_flight < self._normal_bound and (
            adaptive is None or adaptive.working < adaptive.limit
        ):
            return True
        return is_urgent and not self.is_full
