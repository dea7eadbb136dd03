"""How many requests may be in flight at an upstream, and whose."""

import asyncio
from math import inf
from typing import Final

from gateway_service.config.model import UpstreamConfig
from gateway_service.config.values import Concurrency
from gateway_service.http1.exchange import Exchange
from gateway_service.upstreams.concurrency import AdaptiveLimit
from gateway_service.upstreams.crowds import FEW, Crowd
from gateway_service.upstreams.queue import LONGEST_WAIT, Queue

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
        self.crowd = Crowd()
        self._queue = Queue()
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
        return (is_admitted or self.may_exceed_limit(exchange)) and self.crowd.has_room(
            exchange, self.in_flight, self._bound
        )

    async def wait_for_place(self, exchange: Exchange) -> bool:
        """Return whether there is a place in time, the caller's to take immediately."""
        if not self._may_wait(exchange):
            return False
        place = self._queue.join(exchange)
        try:
            async with asyncio.timeout(LONGEST_WAIT):
                await place
        except (TimeoutError, asyncio.CancelledError) as error:
            self._queue.leave(exchange, place)
            if not place.cancelled():
                self._reserve(-1)
                self._admit_next()
            if isinstance(error, TimeoutError):
                return False
            raise
        self._reserve(-1)
        return True

    def _may_wait(self, exchange: Exchange) -> bool:
        """Return whether it helps to wait.

        Beyond an adaptive limit more than that would only make a queue elsewhere, and
        a client that may have taken all of it is not to have what becomes free.
        """
        adaptive = self.adaptive
        return (
            adaptive is None
            or adaptive.working < adaptive.limit
            or (
                len(self._queue) < adaptive.limit
                and self.crowd.has_few(exchange, adaptive.limit)
            )
        )

    def vacate(self) -> None:
        """Give a place back, to the next request in line if there is one."""
        self.in_flight -= 1
        self._admit_next()

    def _admit_next(self) -> None:
        if self.in_flight < self._normal_bound and self._queue.admit(self.has_place):
            self._reserve(1)

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
            and self.crowd.has_few(exchange, adaptive.limit)
        )

    def has_room_to_wait(self, exchange: Exchange) -> bool:
        """Return whether its client may have one more request that waits."""
        crowd, adaptive = self.crowd, self.adaptive
        if not crowd.has_room(exchange, self.waiting, self._bound * WAITING_SHARE):
            return False
        if adaptive is None:
            return True
        places = adaptive.limit * WAITING_SHARE
        return crowd.has_room(exchange, adaptive.waiting, places, FEW)

    def admits(self, *, is_urgent: bool) -> bool:
        """Return whether there may be one more request in flight."""
        adaptive = self.adaptive
        if self.in_flight < self._normal_bound and (
            adaptive is None or adaptive.working < adaptive.limit
        ):
            return True
        return is_urgent and not self.is_full
