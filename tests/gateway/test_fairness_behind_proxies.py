"""Behind a trusted proxy, too, no client takes all the places of an upstream."""

import asyncio
from pathlib import Path

import pytest
from tests.support.gateway import config_for, running_gateway
from tests.support.raw_client import ask
from tests.support.raw_upstream import OK, Call, RawUpstream, waiting_for
from tests.support.waiting import until

from gateway_service.config.clients import Limits
from gateway_service.config.model import Timeouts

GET = b"GET /api/wait HTTP/1.1\r\nHost: a\r\n"
POLL = GET + b"Prefer: wait=30\r\n"


def from_client(request: bytes, client: str) -> bytes:
    return b"%bX-Forwarded-For: %b\r\n\r\n" % (request, client.encode())


@pytest.mark.parametrize(
    ("request_", "places", "refused"),
    [
        pytest.param(GET, 160, 503, id="in flight"),
        # One that waits by design is sent without its wish to wait.
        pytest.param(POLL, 320, 200, id="waiting"),
    ],
)
async def test_a_client_behind_a_proxy_leaves_places_to_the_others(
    request_: bytes, places: int, refused: int, upstream: RawUpstream, tmp_path: Path
) -> None:
    is_over = asyncio.Event()

    async def script(call: Call) -> None:
        while (request := await call.request()) is not None:
            if request_ is GET or request.value("Prefer"):
                await is_over.wait()
            await call.send(OK)

    upstream.script = script
    config = config_for(
        upstream.port,
        trusted_proxies=("127.0.0.0/8",),
        max_in_flight=places,
        timeouts=Timeouts(response_head=30.0),
    )
    async with running_gateway(config, tmp_path) as gateway:
        clients = await gateway.clients(90)
        for client in clients[:-1]:
            await client.send(from_client(request_, "2001:db8::1"))
        content = gateway.content
        await until(lambda: content.in_flight >= 80)
        # The same client, by another address of its network.
        again = from_client(request_, "2001:db8::2")
        assert (await ask(gateway.port, again)).status == refused

        await clients[-1].send(from_client(request_, "203.0.113.1"))
        others = content.in_flight
        await until(lambda: content.in_flight == others + 1)
        is_over.set()
        assert (await clients[-1].answer()).status == 200
        await until(lambda: not content.in_flight)
        assert (await ask(gateway.port, again)).status == 200


async def test_requests_of_a_proxy_that_names_nobody_are_not_one_clients(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    upstream.script = waiting_for(is_over := asyncio.Event())
    config = config_for(
        upstream.port,
        trusted_proxies=("127.0.0.0/8",),
        max_in_flight=160,
        timeouts=Timeouts(response_head=30.0),
    )
    async with running_gateway(config, tmp_path) as gateway:
        await gateway.clients(120, GET + b"\r\n")
        content = gateway.content
        await until(lambda: content.in_flight == 120)
        is_over.set()


async def test_a_client_behind_a_proxy_loses_what_is_held_of_all_its_connections(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    """The others keep theirs, also where more is held of one of them."""
    upstream.script = waiting_for(is_over := asyncio.Event())
    config = config_for(
        upstream.port,
        trusted_proxies=("127.0.0.0/8",),
        body_limit=1_000_000,
        limits=Limits(held=2 * 1_048_576),
        timeouts=Timeouts(response_head=30.0),
    )
    post = (
        b"POST /api/wait HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: %b\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n"
    )
    async with running_gateway(config, tmp_path) as gateway:
        held_bytes = gateway.app.server.held_bytes
        other = await gateway.client(post % (b"203.0.113.1", 120_000) + b"x" * 110_000)
        await gateway.clients(40, post % (b"192.0.2.1", 80_000) + b"x" * 70_000)
        await until(lambda: gateway.metric("connections_cut_total"))
        await until(lambda: 0 < gateway.metric("held_bytes") <= held_bytes.limit)
        is_over.set()
        await other.send(b"x" * 10_000 + b"\r\n0\r\n\r\n")
        assert (await other.answer()).status == 200
