"""An upstream that is asked too much works on as much as it can, and stays quick."""

import heapq
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.gateway import RunningGateway, config_for, running_gateway
from tests.support.raw_client import ask, raw_client
from tests.support.raw_upstream import OK, RawUpstream, once
from tests.support.waiting import until

from gateway_service.config.model import Config, Timeouts
from gateway_service.config.values import Concurrency, Priority
from gateway_service.upstreams.concurrency import AdaptiveLimit

TICK: Final = 0.25
POST: Final = b"POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
GET: Final = b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n"
URGENT: Final = POST.replace(b"/api/x", b"/api/urgent")


@dataclass
class Outcome:
    """What became of simulated requests."""

    served: int
    refused: int
    seconds: list[float]

    def p99(self) -> float:
        return sorted(self.seconds)[int(len(self.seconds) * 0.99)]


class Simulation:
    """An upstream of `slots` servers with a queue, behind a limit, in made-up time."""

    def __init__(self, slots: int, service: float, limit: AdaptiveLimit) -> None:
        self.service = service
        self.limit = limit
        self.now = 0.0
        self.chance = random.Random(7)  # noqa: S311 - a test is to repeat itself
        self._free_at = [0.0] * slots
        self._ends: list[tuple[float, float]] = []
        self._tick_at = TICK

    def run(self, seconds: float, rate: float) -> Outcome:
        """Let requests come at a rate, whatever becomes of them."""
        end = self.now + seconds
        outcome = Outcome(0, 0, [])
        while self.now < end:
            self._advance(self.now + self.chance.expovariate(rate), outcome)
            if self.limit.working >= self.limit.limit:
                outcome.refused += 1
                continue
            self.limit.begin()
            begin = max(self.now, heapq.heappop(self._free_at))
            done = begin + self.service * self.chance.uniform(0.9, 1.1)
            heapq.heappush(self._free_at, done)
            heapq.heappush(self._ends, (done, self.now))
        return outcome

    def _advance(self, until: float, outcome: Outcome) -> None:
        while (upcoming := min(self._tick_at, self._next_end())) <= until:
            self.now = upcoming
            if upcoming == self._tick_at:
                self.limit.tick(self.now)
                self._tick_at += TICK
            else:
                done, came_at = heapq.heappop(self._ends)
                self.limit.end(done - came_at)
                outcome.served += 1
                outcome.seconds.append(done - came_at)
        self.now = until

    def _next_end(self) -> float:
        return self._ends[0][0] if self._ends else float("inf")


@pytest.mark.parametrize("warm", [True, False], ids=["warm", "cold"])
@pytest.mark.parametrize(
    ("slots", "service"), [(10, 0.05), (4, 0.1), (40, 0.03), (100, 0.1)]
)
def test_goodput_stays_at_capacity_and_requests_stay_quick(
    slots: int,
    service: float,
    warm: bool,  # noqa: FBT001 - a column of the table
) -> None:
    simulation = Simulation(slots, service, AdaptiveLimit(512, 0.02, 0.0))
    capacity = slots / service
    if warm:
        simulation.run(5, capacity / 3)
    simulation.run(8, 3 * capacity)  # the overload is found out

    outcome = simulation.run(30, 3 * capacity)

    assert outcome.served >= 0.9 * capacity * 30
    assert outcome.p99() <= 2 * 1.1 * service


def test_nothing_is_refused_below_capacity() -> None:
    simulation = Simulation(10, 0.05, AdaptiveLimit(512, 0.02, 0.0))

    assert simulation.run(60, 100).refused == 0


def test_everything_is_let_through_again_after_an_overload() -> None:
    simulation = Simulation(10, 0.05, AdaptiveLimit(512, 0.02, 0.0))
    simulation.run(20, 600)
    simulation.run(10, 100)

    assert simulation.run(20, 100).refused == 0


def test_an_overload_is_forgotten_once_nothing_is_in_flight() -> None:
    limit = AdaptiveLimit(512, 0.02, 0.0)
    for look, seconds in ((1.0, 0.1), (2.0, 1.0)):
        for _ in range(800):
            limit.begin()
            limit.end(seconds)
        limit.tick(look)
    limit.begin()
    limit.tick(3.0)
    assert limit.limit < 128

    limit.leave()
    limit.tick(4.0)

    assert limit.limit == 512


def test_latency_that_is_quick_enough_is_no_reason_to_refuse() -> None:
    simulation = Simulation(1, 0.001, AdaptiveLimit(64, 0.1, 0.0))

    simulation.run(10, 3_000)

    assert simulation.limit.limit == 64


def test_upstream_that_became_slower_for_good_is_used_as_before() -> None:
    simulation = Simulation(50, 0.03, AdaptiveLimit(512, 0.02, 0.0))
    simulation.run(10, 500)
    simulation.service = 0.09
    simulation.run(20, 400)

    assert simulation.run(20, 400).refused < 80, "one in a hundred"


@pytest.fixture
async def gateway(
    upstream: RawUpstream, tmp_path: Path
) -> AsyncIterator[RunningGateway]:
    """A gateway whose upstream never responds, and may have 20 requests in flight."""
    upstream.script = once(ends=False)
    async with running_gateway(with_urgent_route(upstream, 20), tmp_path) as running:
        yield running


def with_urgent_route(upstream: RawUpstream, most: int, **changes: Any) -> Config:  # noqa: ANN401
    """Return a configuration with a route that is refused last."""
    config = config_for(
        upstream.port, max_in_flight=most, timeouts=Timeouts(response_head=3), **changes
    )
    [route] = config.routes
    urgent = replace(route, prefix="/api/urgent", priority=Priority.HIGH)
    return replace(config, routes=(route, urgent))


@asynccontextmanager
async def waiting(port: int, count: int, request: bytes) -> AsyncIterator[None]:
    """Have requests in flight for the length of a block."""
    async with AsyncExitStack() as stack:
        for _ in range(count):
            client = await stack.enter_async_context(raw_client(port))
            await client.send(request)
        yield


async def test_a_tenth_of_the_bound_is_kept_for_what_is_refused_last(
    gateway: RunningGateway,
) -> None:
    content = gateway.content
    async with waiting(gateway.port, 18, POST):
        await until(lambda: content.in_flight == 18)
        refused = await ask(gateway.port, POST)
        async with waiting(gateway.port, 2, URGENT):
            await until(lambda: content.in_flight == 20)
            refused_last = await ask(gateway.port, URGENT)
    assert (refused.status, refused.value("Retry-After")) == (503, "1")
    assert refused_last.status == 503
    assert content.shed == 2


async def test_off_sets_no_bound(upstream: RawUpstream, tmp_path: Path) -> None:
    config = with_urgent_route(upstream, 1, concurrency=Concurrency.OFF)
    upstream.script = once(ends=False)
    async with running_gateway(config, tmp_path) as gateway:
        content = gateway.content
        async with waiting(gateway.port, 30, POST):
            await until(lambda: content.in_flight == 30)
    assert content.shed == 0


async def test_requests_that_wait_by_design_do_not_count(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    upstream.script = once(ends=False)
    config = with_urgent_route(upstream, 20, concurrency=Concurrency.ADAPTIVE)
    long_poll = GET.replace(b"\r\n\r\n", b"\r\nPrefer: wait=30\r\n\r\n")
    async with running_gateway(config, tmp_path) as gateway:
        content = gateway.content
        limit = content.adaptive
        assert limit is not None
        async with waiting(gateway.port, 3, long_poll):
            await until(lambda: content.in_flight == 3)
            assert limit.working == 0
            async with waiting(gateway.port, 2, GET):
                await until(lambda: limit.working == 2)
        await until(lambda: content.in_flight == 0)
        assert limit.working == 0, "clients that leave give their place back"
        upstream.script = once(OK)
        assert (await ask(gateway.port, GET)).status == 200
        assert limit.working == 0
