"""Requests wait a moment for a place at their upstream, each client in its turn."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.gateway import (
    RunningGateway,
    config_for,
    running_gateway,
    upstream_config,
)
from tests.support.raw_client import raw_client
from tests.support.raw_upstream import OK, Call, RawUpstream, waiting_for
from tests.support.standstill import stand_still_while_reading
from tests.support.waiting import until

from gateway_service.config.values import Priority
from gateway_service.http1.connection import ClientConnection
from gateway_service.http1.exchange import Exchange
from gateway_service.http1.parsing.requests import UNREADABLE
from gateway_service.upstreams.places import Places
from gateway_service.upstreams.queue import LONGEST_IN_LINE

WAIT = b"GET /api/wait HTTP/1.1\r\nHost: a\r\n\r\n"
GET = b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n"
URGENT = b"GET /api/urgent/wait HTTP/1.1\r\nHost: a\r\n\r\n"
LOOPING = GET[:-2] + b"Via: 1.1 gateway\r\n\r\n"
POST = b"POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab"


@pytest.mark.parametrize("request_", [GET, POST], ids=["without a body", "with one"])
async def test_a_burst_is_served(
    request_: bytes, upstream: RawUpstream, tmp_path: Path
) -> None:
    upstream.script = waiting_for(is_over := asyncio.Event())
    config = config_for(upstream.port, max_in_flight=1)
    async with running_gateway(config, tmp_path) as gateway:
        clients = await gateway.clients(8)
        await clients[0].send(WAIT)
        await until(lambda: upstream.requests)
        for client in clients[1:]:
            await client.send(request_)
        is_over.set()
        answers = [await client.answer() for client in clients]
        content = gateway.content
        assert [answer.status for answer in answers] == [200] * 8
        assert (content.in_flight, content.shed) == (0, 0)


A, B, C = "192.0.2.1", "192.0.2.2", "192.0.2.3"


class Line:
    """Requests that wait at an upstream that is full, and the order they go on in."""

    def __init__(self, gateway: RunningGateway) -> None:
        self._server = gateway.app.server
        self.places = Places(upstream_config("content", 1, max_in_flight=1), now=0.0)
        self.places.in_flight = 1
        self.gone_on: list[str] = []

    def join(self, client: str) -> asyncio.Task[None]:
        return asyncio.create_task(self._wait(client))

    async def _wait(self, client: str) -> None:
        connection = ClientConnection(self._server.loop, self._server, client)
        exchange = Exchange(connection, UNREADABLE, None, started_at=0.0)
        try:
            assert await self.places.wait_for_place(exchange, is_urgent=False)
            assert self.places.in_flight == 0
            self.places.in_flight += 1
            self.gone_on.append(client)
        finally:
            self.places.admit_next()

    def end_one(self) -> None:
        """Let a request end."""
        self.places.in_flight -= 1
        self.places.admit_next()

    async def go_on(self, *tasks: asyncio.Task[None]) -> None:
        """Let as many requests end as wait."""
        await asyncio.sleep(0)
        for _ in tasks:
            self.end_one()
            assert self.places.in_flight == 1, "no other request comes before it"
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)


async def test_clients_go_on_in_turn(gateway: RunningGateway) -> None:
    line = Line(gateway)
    await line.go_on(*map(line.join, (A, A, A, B, C, B)))
    assert line.gone_on == [A, B, C, A, B, A]


@pytest.mark.parametrize("is_its_turn", [False, True])
async def test_who_leaves_the_line_leaves_its_place_to_the_next(
    *, is_its_turn: bool, gateway: RunningGateway
) -> None:
    line = Line(gateway)
    leaving, next_one = line.join(A), line.join(B)
    await asyncio.sleep(0)
    if is_its_turn:
        line.end_one()
    leaving.cancel()
    if not is_its_turn:
        line.end_one()
    await asyncio.wait([leaving, next_one])
    assert line.gone_on == [B]
    assert line.places.in_flight == 1


async def test_nobody_waits_long(gateway: RunningGateway) -> None:
    line = Line(gateway)
    with pytest.raises(AssertionError):
        await line.join(A)
    line.end_one()
    assert line.places.in_flight == 0


@pytest.mark.quiet
async def test_who_waits_has_the_place_of_a_response_that_came_in_time(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    is_joined = asyncio.Event()

    async def script(call: Call) -> None:
        await call.request()
        await is_joined.wait()
        await stand_still_while_reading(
            LONGEST_IN_LINE + 0.1, lambda: call.send_now(OK)
        )
        if await call.request() is not None:
            await call.send(OK)

    upstream.script = script
    config = config_for(upstream.port, max_in_flight=1)
    async with (
        running_gateway(config, tmp_path) as gateway,
        raw_client(gateway.port) as first,
        raw_client(gateway.port) as second,
    ):
        content = gateway.content
        await first.send(GET)
        await until(lambda: upstream.requests)
        await second.send(GET)
        await until(lambda: content.in_line)
        is_joined.set()
        assert (await second.answer()).status == 200


async def test_who_gets_its_place_at_the_last_moment_has_it(
    gateway: RunningGateway,
) -> None:
    line = Line(gateway)
    # Both timers are due in one turn of the loop, which waits for whole milliseconds.
    asyncio.get_running_loop().call_later(LONGEST_IN_LINE - 0.0002, line.end_one)
    await line.join(A)
    assert line.places.in_flight == 1


async def test_a_place_that_is_not_taken_goes_to_the_next(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    upstream.script = waiting_for(is_over := asyncio.Event())
    config = config_for(upstream.port, max_in_flight=1)
    async with running_gateway(config, tmp_path) as gateway:
        content = gateway.content
        clients = []
        for number, request in enumerate((WAIT, LOOPING, GET), start=1):
            source = f"127.0.0.{number}"
            clients.append(await gateway.client(request, source=source))
            await until(lambda: content.in_flight + content.in_line == len(clients))
        is_over.set()
        answers = [(await client.answer()).status for client in clients]
    assert answers == [200, 508, 200]


async def test_a_body_in_line_counts_as_held(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    upstream.script = waiting_for(is_over := asyncio.Event())
    config = config_for(upstream.port, max_in_flight=1)
    async with (
        running_gateway(config, tmp_path) as gateway,
        raw_client(gateway.port) as first,
        raw_client(gateway.port) as second,
    ):
        content = gateway.content
        await first.send(WAIT)
        await until(lambda: content.in_flight)
        await second.send(POST.replace(b"2\r\n\r\nab", b"9000\r\n\r\n" + b"x" * 9_000))
        await until(lambda: content.in_line)
        assert sum(each.held for each in gateway.app.server.connections) >= 9_000
        is_over.set()
        assert (await second.answer()).status == 200


async def test_urgent_requests_go_on_first_and_in_their_own_places(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    upstream.script = waiting_for(is_over := asyncio.Event())
    config = config_for(upstream.port, max_in_flight=10)
    [route] = config.routes
    urgent = replace(route, prefix="/api/urgent", priority=Priority.HIGH)
    config = replace(config, routes=(route, urgent))
    async with running_gateway(config, tmp_path) as gateway:
        content = gateway.content
        clients = []
        for number, request in enumerate((*[WAIT] * 9, URGENT, GET, URGENT), start=1):
            source = f"127.0.0.{number}"
            clients.append(await gateway.client(request, source=source))
            await until(lambda: content.in_flight + content.in_line == len(clients))
        assert (content.in_flight, content.in_line) == (10, 2)
        clients[0].reset()
        await until(lambda: len(upstream.requests) == 11)
        assert upstream.requests[-1].target == "/api/urgent/wait"
        assert (await clients[-2].answer()).status == 503
        is_over.set()
        assert (await clients[-1].answer()).status == 200
