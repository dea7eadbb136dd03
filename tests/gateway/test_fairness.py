"""No client costs others more than its share, whatever it sends or leaves unsent."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.support.gateway import (
    RunningGateway,
    config_for,
    fallen_limit,
    running_gateway,
)
from tests.support.raw_client import Received, ask, raw_client
from tests.support.raw_upstream import OK, Call, RawUpstream, once, waiting_for
from tests.support.waiting import until

from gateway_service.config.clients import Limits
from gateway_service.config.model import Timeouts
from gateway_service.config.values import Concurrency
from gateway_service.http1.parsing.limits import ClientTimeouts

GET_X = b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n"


async def test_a_half_closed_client_waits_as_long_as_the_route_allows(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    async def script(call: Call) -> None:
        await call.request()
        await asyncio.sleep(2.5)
        await call.send(OK)

    upstream.script = script
    config = config_for(upstream.port, timeouts=Timeouts(response_head=5.0))
    async with (
        running_gateway(config, tmp_path) as gateway,
        raw_client(gateway.port) as client,
    ):
        await client.send(b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n")
        client.end()
        assert (await client.answer()).status == 200


@pytest.mark.parametrize("end", [b"", b"GET /api/x HT"], ids=["whole", "cut"])
async def test_every_request_before_the_end_of_sending_is_answered(
    end: bytes, gateway: RunningGateway, upstream: RawUpstream
) -> None:
    get = b"GET /api/get HTTP/1.1\r\nHost: a\r\n\r\n"
    post = b"POST /api/post HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
    async with raw_client(gateway.port) as client:
        await client.send(get + post + get + end)
        client.end()
        answers = [await client.answer() for _ in range(3)]
        assert await client.rest() == b""
    assert [each.status for each in answers] == [200, 200, 200]
    assert [each.target for each in upstream.requests] == [
        "/api/get",
        "/api/post",
        "/api/get",
    ]


async def test_requests_of_a_half_closed_client_wait_until_it_reads(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    upstream.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n" + bytes(
        90_000
    )
    async with (
        running_gateway(config_for(upstream.port), tmp_path) as gateway,
        raw_client(gateway.port) as client,
    ):
        await client.send(b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n" * 100)
        client.end()
        for _ in range(100):
            assert len((await client.answer()).body) == 90_000
        assert await client.rest() == b""


async def test_a_client_that_is_reset_after_its_end_of_sending_is_noticed(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    async def script(call: Call) -> None:
        await call.request()
        await call.until_over()

    upstream.script = script
    config = config_for(upstream.port, timeouts=Timeouts(response_head=30.0))
    async with (
        running_gateway(config, tmp_path) as gateway,
        raw_client(gateway.port) as client,
    ):
        await client.send(b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n")
        await until(lambda: bool(upstream.requests))
        client.end()
        await asyncio.sleep(0.1)  # so that it is not one event with the next
        client.reset()
        await until(lambda: upstream.calls[0].is_over)


def post_in_small_chunks(count: int) -> bytes:
    return (
        b"POST /api/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"6\r\nabcdef\r\n" * count
        + b"0\r\n\r\n"
    )


@pytest.mark.parametrize("is_half_closed", [False, True])
async def test_a_body_in_many_small_chunks_arrives_whole(
    *, is_half_closed: bool, gateway: RunningGateway, upstream: RawUpstream
) -> None:
    async with raw_client(gateway.port) as client:
        for count in (1, 5_000, 129, 256, 20_000):
            await client.send(post_in_small_chunks(count))
        if is_half_closed:
            client.end()
        answers = [(await client.answer()).status for _ in range(5)]
    assert answers == [200] * 5
    assert [len(each.body) // 6 for each in upstream.requests] == [
        1,
        5_000,
        129,
        256,
        20_000,
    ]


async def test_a_body_of_tiny_chunks_is_refused(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    request = (
        b"POST /api/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"1\r\nx\r\n" * 100_000
        + b"0\r\n\r\n"
    )
    answer = await ask(gateway.port, request)
    assert (answer.status, answer.json()["code"]) == (400, "invalid_request")
    assert all(call.is_over for call in upstream.calls)


async def test_a_flood_of_empty_lines_is_refused_at_once(
    gateway: RunningGateway,
) -> None:
    assert (await ask(gateway.port, b"\r\n" * 500_000)).status == 400


@pytest.mark.quiet
@pytest.mark.parametrize("drip", [b"\r\n", b"G"], ids=["empty lines", "a head"])
@pytest.mark.parametrize("is_used", [False, True], ids=["new", "used"])
async def test_no_drip_holds_a_connection(
    drip: bytes, *, is_used: bool, upstream: RawUpstream, tmp_path: Path
) -> None:
    timeouts = ClientTimeouts(head=0.5, keep_alive=0.5)
    config = config_for(upstream.port, client_timeouts=timeouts)
    async with (
        running_gateway(config, tmp_path) as gateway,
        raw_client(gateway.port) as client,
    ):
        if is_used:
            await client.send(b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await client.answer()).status == 200
        began_at = asyncio.get_running_loop().time()
        ended = asyncio.create_task(client.rest())
        while not ended.done():
            await client.send(drip)
            await asyncio.sleep(0.1)
        assert asyncio.get_running_loop().time() - began_at < 1.5


WAIT = b"GET /api/wait HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /api/wait HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"


@asynccontextmanager
async def waiting(
    upstream: RawUpstream, tmp_path: Path, **settings: object
) -> AsyncIterator[RunningGateway]:
    """Run a gateway whose upstream responds to /api/wait only after the block."""
    is_over = asyncio.Event()
    upstream.script = waiting_for(is_over)
    long = Timeouts(response_head=30.0)
    config = config_for(upstream.port, timeouts=long, **settings)
    async with running_gateway(config, tmp_path) as gateway:
        try:
            yield gateway
        finally:
            is_over.set()


async def ask_elsewhere(gateway: RunningGateway) -> Received:
    """Return the response to another client."""
    async with raw_client(gateway.port, source="127.0.0.2") as other:
        await other.send(GET_X)
        return await other.answer()


async def test_no_client_takes_every_place_at_an_upstream(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    async with waiting(upstream, tmp_path, max_in_flight=160) as gateway:
        greedy = await gateway.clients(90, WAIT)
        await until(lambda: len(upstream.requests) == 80)
        refused = await greedy[-1].answer()
        assert (refused.status, refused.value("Retry-After")) == (503, "1")

        assert (await ask_elsewhere(gateway)).status == 200


async def test_a_body_is_not_awaited_where_every_place_is_taken(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    async with waiting(upstream, tmp_path, max_in_flight=2) as gateway:
        await gateway.clients(2, WAIT)
        await until(lambda: len(upstream.requests) == 2)
        other = await gateway.client(POST)
        assert (await other.answer()).status == 503


async def test_a_client_that_withholds_bodies_does_not_take_every_place_with_them(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    async with waiting(upstream, tmp_path, max_in_flight=160) as gateway:
        greedy = await gateway.clients(90, POST + b"x")
        await until(lambda: len(gateway.app.server.connections) == 90)
        await until(lambda: gateway.metric("held_bytes") >= 90)
        for each in greedy:
            await each.send(b"x")
        assert (await greedy[-1].answer()).status == 503
        assert gateway.content.in_flight == 80

        assert (await ask_elsewhere(gateway)).status == 200


@pytest.mark.parametrize(
    ("connections", "lately"),
    [
        pytest.param(140, 800, id="very many connections"),
        pytest.param(60, 200, id="those of an office"),
        pytest.param(60, 42, id="a limit of which a tenth is no place"),
    ],
)
async def test_a_client_leaves_places_to_others_where_an_adaptive_limit_fell(
    connections: int, lately: int, upstream: RawUpstream, tmp_path: Path
) -> None:
    async with waiting(
        upstream,
        tmp_path,
        concurrency=Concurrency.ADAPTIVE,
        quick_enough=0.0,
    ) as gateway:
        greedy = await gateway.clients(connections)
        await greedy[0].send(WAIT)
        content = gateway.content
        await until(lambda: content.in_flight == 1)
        limit = fallen_limit(content, lately)
        assert limit == pytest.approx(lately / 8)

        for each in greedy[1:]:
            await each.send(WAIT)
        assert (await greedy[-1].answer()).status == 503
        assert content.in_flight == math.ceil(limit)

        assert (await ask_elsewhere(gateway)).status == 200


AHEAD = b"GET /api/wait HTTP/1.1\r\nHost: a\r\n\r\n" + b"GET /" + b"x" * 80_000
GATHERED = (
    b"POST /api/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"13880\r\n" + b"x" * 80_000
)


@pytest.mark.parametrize("sent", [AHEAD, GATHERED], ids=["sent ahead", "gathered"])
async def test_who_has_too_much_held_on_many_connections_loses_them(
    sent: bytes, upstream: RawUpstream, tmp_path: Path
) -> None:
    async with waiting(
        upstream,
        tmp_path,
        body_limit=1_000_000,
        limits=Limits(held=2 * 1_048_576),
    ) as gateway:
        held_bytes = gateway.app.server.held_bytes
        other = await gateway.client(source="127.0.0.2")
        await other.send(
            b"POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n"
        )
        await other.send(b"x" * 60_000)
        await gateway.clients(40, sent)
        await until(lambda: gateway.metric("connections_cut_total"))
        await until(lambda: 0 < gateway.metric("held_bytes") <= held_bytes.limit)
        assert 10 < gateway.metric("connections_cut_total") < 40
        await other.send(b"x" * 30_000)
        assert (await other.answer()).status == 200


async def test_others_wait_in_line_where_one_client_takes_all_of_a_fallen_limit(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    upstream.script = waiting_for(is_over := asyncio.Event())
    config = config_for(
        upstream.port,
        concurrency=Concurrency.ADAPTIVE,
        quick_enough=0.0,
        timeouts=Timeouts(),
    )
    async with running_gateway(config, tmp_path) as gateway:
        greedy = await gateway.clients(20)
        await greedy[0].send(WAIT)
        content = gateway.content
        await until(lambda: content.in_flight == 1)
        assert fallen_limit(content, 36) == pytest.approx(4.5)
        for each in greedy[1:]:
            await each.send(WAIT)
        assert (await greedy[-1].answer()).status == 503

        others = [
            await gateway.client(WAIT, source=f"127.0.0.{number}")
            for number in range(2, 6)
        ]
        await until(lambda: content.in_flight == 6)
        is_over.set()
        answers = [(await each.answer()).status for each in others]
    assert answers == [200] * 4


UPLOAD = (
    b"POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n" + b"x" * 69_000
)
LONG_POLL = GET_X.replace(b"\r\n\r\n", b"\r\nPrefer: wait=30\r\n\r\n")
STREAM = GET_X.replace(b"\r\n\r\n", b"\r\nAccept: text/event-stream\r\n\r\n")
TUNNEL = (
    GET_X[:-2] + b"Connection: upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def kept_waiting(call: Call) -> None:
    """Respond to what waits neither by design nor by its target."""
    while (request := await call.request()) is not None:
        is_work = request.target == "/api/wait"
        if is_work or any(map(request.value, ("Prefer", "Upgrade", "Accept"))):
            await call.until_over()
        else:
            await call.send(OK)


@pytest.mark.parametrize(
    "waits", [UPLOAD, LONG_POLL, STREAM, TUNNEL], ids=["up", "poll", "events", "ws"]
)
async def test_requests_that_wait_leave_room_for_others(
    waits: bytes, upstream: RawUpstream, tmp_path: Path
) -> None:
    """They cost their clients nothing: as many as these come from few addresses."""

    upstream.script = kept_waiting
    config = config_for(upstream.port, max_in_flight=8, timeouts=Timeouts())
    async with running_gateway(config, tmp_path) as gateway:
        await gateway.clients(8, waits)
        await until(lambda: len(upstream.calls) >= 4)
        assert (await ask(gateway.port, GET_X)).status == 200
        answer = await ask(gateway.port, waits)
        assert answer.status == (200 if waits is LONG_POLL else 503)
        content = gateway.content
        assert content.in_flight == 4
        assert (content.shed > 0) is (answer.status == 503)


@pytest.mark.parametrize(
    "waits", [UPLOAD, LONG_POLL, STREAM, TUNNEL], ids=["up", "poll", "events", "ws"]
)
async def test_requests_that_wait_leave_a_fallen_limit_to_others(
    waits: bytes, upstream: RawUpstream, tmp_path: Path
) -> None:
    """Whether they wait is up to the upstream, which may work on them all."""
    upstream.script = kept_waiting
    config = config_for(
        upstream.port,
        concurrency=Concurrency.ADAPTIVE,
        quick_enough=0.0,
        timeouts=Timeouts(),
    )
    async with running_gateway(config, tmp_path) as gateway:
        await gateway.client(WAIT)
        content = gateway.content
        await until(lambda: content.in_flight == 1)
        assert fallen_limit(content, 300) == pytest.approx(37.5)

        greedy = await gateway.clients(30, waits)
        answer = await greedy[-1].answer()
        assert answer.status == (200 if waits is LONG_POLL else 503)
        assert content.in_flight == 1 + 10

        await gateway.client(waits, source="127.0.0.2")
        await until(lambda: content.in_flight == 1 + 11)


async def test_streams_that_have_begun_take_no_place_of_a_fallen_limit(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    is_over = asyncio.Event()

    async def script(call: Call) -> None:
        request = await call.request()
        if request is not None and request.value("Accept"):
            await call.send(b"HTTP/1.1 200 OK\r\n\r\ndata: 1\n\n")
        await is_over.wait()

    upstream.script = script
    config = config_for(
        upstream.port,
        concurrency=Concurrency.ADAPTIVE,
        quick_enough=0.0,
        timeouts=Timeouts(),
    )
    async with running_gateway(config, tmp_path) as gateway:
        await gateway.client(WAIT)
        content = gateway.content
        await until(lambda: content.in_flight == 1)
        assert fallen_limit(content, 32) == pytest.approx(4)
        for _ in range(8):
            client = await gateway.client(STREAM)
            assert b"200 OK" in await client.reader.readuntil(b"data: 1")
        assert content.waiting == 8
        is_over.set()


async def test_a_client_that_may_not_wait_keeps_its_other_preferences(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    config = config_for(upstream.port, max_in_flight=1)
    asks = b"Prefer: refresh-token=cookie, wait=30\r\nprefer: wait=1\r\nPrefer: b"
    asks += b'\r\nPrefer: x="a, b\\", c", wait=5, y="a, wait=5"'
    async with running_gateway(config, tmp_path) as gateway:
        gateway.content.waiting = 1
        for each in (asks, b'Prefer: x="a, wait=5"; wait=5'):
            request = GET_X.replace(b"\r\n\r\n", b"\r\n" + each + b"\r\n\r\n")
            assert (await ask(gateway.port, request)).status == 200
    assert [each.values("Prefer") for each in upstream.requests] == [
        ["refresh-token=cookie", "b", 'x="a, b\\", c", y="a, wait=5"'],
        ['x="a, wait=5"; wait=5'],
    ]


async def test_no_client_takes_every_place_of_those_that_wait(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    upstream.script = kept_waiting
    config = config_for(upstream.port, max_in_flight=320, timeouts=Timeouts())
    async with running_gateway(config, tmp_path) as gateway:
        greedy = await gateway.clients(90, TUNNEL)
        await until(lambda: len(upstream.requests) == 80)
        assert (await greedy[-1].answer()).status == 503

        await gateway.client(TUNNEL, source="127.0.0.2")
        await until(lambda: len(upstream.requests) == 81)


async def test_tunnels_of_replicas_that_left_take_their_places(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    upstream.script = kept_waiting
    config = config_for(upstream.port, max_in_flight=8)
    async with running_gateway(config, tmp_path) as gateway:
        await gateway.clients(4, TUNNEL)
        await until(lambda: len(upstream.requests) == 4)
        content = gateway.content
        [replica] = content.replicas
        content.assign([])
        content.assign([replica.endpoint])
        assert (await ask(gateway.port, TUNNEL)).status == 503
        assert (await ask(gateway.port, GET_X)).status == 200
        assert content.waiting == 4
    assert content.waiting == 0


async def test_a_body_that_may_be_sent_again_counts_as_held(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    upstream.script = once(ends=False)
    async with running_gateway(config_for(upstream.port), tmp_path) as gateway:
        async with raw_client(gateway.port) as client:
            await client.send(
                b"POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n"
                + b"x" * 60_000
            )
            await until(lambda: gateway.metric("held_bytes") >= 60_000)
        await until(lambda: gateway.metric("held_bytes") == 0)


async def test_the_head_of_a_request_counts_as_held(gateway: RunningGateway) -> None:
    fields = b"".join(b"X-%d: %b\r\n" % (n, b"x" * 1_000) for n in range(30))
    async with raw_client(gateway.port) as client:
        await client.send(
            b"POST /api/x HTTP/1.1\r\n"
            + fields
            + b"Host: a\r\nContent-Length: 9\r\n\r\n"
        )
        await until(lambda: gateway.metric("held_bytes") >= 30_000)


async def test_a_response_that_is_not_read_counts_as_held_wherever_it_waits(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    async def script(call: Call) -> None:
        await call.request()
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 60000000\r\n\r\n")
        while not call.is_over:
            await call.send(bytes(60_000), pause=0.001)

    upstream.script = script
    async with (
        running_gateway(config_for(upstream.port), tmp_path) as gateway,
        raw_client(gateway.port) as client,
    ):
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await client.send(GET_X)
        await until(lambda: gateway.app.server.connections)
        [connection] = gateway.app.server.connections
        transport = connection._transport  # noqa: SLF001 - nobody else has it
        await until(
            lambda: (
                gateway.metric("held_bytes")
                > transport.get_write_buffer_size() + 65_536
            )
        )
