"""Requests wait a moment for places of an adaptive limit that fell."""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import pytest
from tests.support.gateway import (
    RunningGateway,
    config_for,
    fallen_limit,
    running_gateway,
)
from tests.support.raw_client import RawClient
from tests.support.raw_upstream import OK, Call, RawUpstream, Script, raw_upstream
from tests.support.waiting import until

from gateway_service.config.model import Timeouts
from gateway_service.config.values import Concurrency
from gateway_service.upstreams.endpoint import Endpoint

OWN = "127.0.0.1"
FULL = 6
"""Requests in flight at a limit of 4.5, with the one that may exceed it."""


class Crowded:
    """A gateway whose upstream works on as many requests as it may."""

    def __init__(self, gateway: RunningGateway) -> None:
        self.gateway = gateway
        self.content = gateway.content

    async def fill(self, target: str = "/api/wait") -> None:
        """Have as many requests in flight as may be after the limit fell."""
        self.clients = await self.send(target, OWN)
        await until(lambda: self.content.in_flight == 1)
        assert fallen_limit(self.content, 36) == pytest.approx(4.5)
        self.clients += await self.send(target, *[OWN] * (FULL - 1))
        await until(lambda: self.content.in_flight == FULL)

    async def send(
        self, target: str, *sources: str, fields: str = ""
    ) -> list[RawClient]:
        """Send requests, each on a connection of its own, all of them at once."""
        clients = [await self.gateway.client(source=source) for source in sources]
        request = f"GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n"
        for client in clients:
            await client.send(request.encode())
        return clients

    async def join(self, target: str, count: int) -> list[RawClient]:
        """Have requests wait in line, each of a client of its own."""
        sources = [f"127.0.0.{number}" for number in range(2, 2 + count)]
        others = await self.send(target, *sources)
        await until(lambda: self.content.in_line == count)
        return others


@pytest.fixture
def is_over() -> asyncio.Event:
    """Ends what the upstream works on."""
    return asyncio.Event()


@pytest.fixture
async def crowded(
    is_over: asyncio.Event, upstream: RawUpstream, tmp_path: Path
) -> AsyncIterator[Crowded]:
    upstream.script = working_until(is_over)
    config = config_for(
        upstream.port,
        concurrency=Concurrency.ADAPTIVE,
        quick_enough=0.02,
        timeouts=Timeouts(),
        trusted_proxies=("127.0.1.0/24",),
    )
    async with running_gateway(config, tmp_path) as gateway:
        yield Crowded(gateway)
        await upstream.stop()


def working_until(is_over: asyncio.Event) -> Script:
    """Return a script for requests that work, and for long responses."""

    async def script(call: Call) -> None:
        while (request := await call.request()) is not None:
            if request.target != "/api/x":
                await is_over.wait()
            if request.target == "/api/long":
                await call.send(OK[:-1])
                await call.until_over()
            else:
                await call.send(OK)

    return script


async def test_a_response_that_begins_leaves_its_place_to_the_next(
    crowded: Crowded, is_over: asyncio.Event
) -> None:
    await crowded.fill("/api/long")
    others = await crowded.join("/api/x", 2)
    adaptive = crowded.content.adaptive
    assert adaptive is not None
    is_over.set()
    await until(lambda: not adaptive.working)
    assert crowded.content.in_line == 0
    assert [(await each.answer()).status for each in others] == [200, 200]
    assert crowded.content.in_flight == FULL


async def test_all_go_on_for_whom_a_risen_limit_has_places(crowded: Crowded) -> None:
    await crowded.fill()
    await crowded.join("/api/wait", 4)
    adaptive = crowded.content.adaptive
    assert adaptive is not None
    adaptive.begin()
    adaptive.end(0.01)
    adaptive.tick(time.monotonic() + 200)
    crowded.content.tick()
    assert crowded.content.in_flight == FULL + 4, "no other request comes before them"


async def test_a_request_that_is_repeated_keeps_its_place(
    crowded: Crowded, upstream: RawUpstream
) -> None:
    await crowded.fill()
    [other] = await crowded.join("/api/x", 1)
    async with raw_upstream() as second:
        [first] = crowded.content.replicas
        another = Endpoint("127.0.0.1", second.port, second.port)
        crowded.content.assign([first.endpoint, another])
        upstream.calls[0].reset()
        assert (await crowded.clients[0].answer()).status == 200
        assert (await other.answer()).status == 200


@pytest.mark.parametrize(
    ("source", "fields"),
    [
        pytest.param("127.0.0.2", "", id="by itself"),
        pytest.param("127.0.1.1", "X-Forwarded-For: 192.0.2.1\r\n", id="proxied"),
    ],
)
async def test_no_client_fills_the_line(
    source: str, fields: str, crowded: Crowded
) -> None:
    await crowded.fill()
    await crowded.send("/api/x", *[source] * 8, fields=fields)
    await until(lambda: crowded.content.shed == 7)
    assert crowded.content.in_line == 1


async def test_no_more_wait_than_the_limit_admits(crowded: Crowded) -> None:
    await crowded.fill()
    await crowded.join("/api/x", 5)
    [refused] = await crowded.send("/api/x", "127.0.0.9")
    await until(lambda: crowded.content.shed)
    assert crowded.content.in_line == 5
    assert (await refused.answer()).status == 503


async def test_a_refused_request_costs_no_task(crowded: Crowded) -> None:
    await crowded.fill()
    loop = asyncio.get_running_loop()
    begun: list[asyncio.Task[Any]] = []

    def begin(
        loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **_: object
    ) -> asyncio.Task[Any]:
        begun.append(asyncio.Task(work, loop=loop))
        return begun[-1]

    *_, refused = await crowded.send("/api/x", *["127.0.0.2"] * 12)
    loop.set_task_factory(begin)  # type: ignore[arg-type]
    await refused.answer()
    await refused.send(b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (await refused.answer()).status == 503
    loop.set_task_factory(None)
    assert begun == []
