"""Bodies both ways, waits that end, and clients that leave (G17)."""

import asyncio
import gc
import hashlib
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.gateway import SHORT, RunningGateway, config_for, running_gateway
from tests.support.raw_client import IncompleteAnswerError, ask, raw_client, statuses
from tests.support.raw_upstream import OK, Call, RawUpstream, once

from gateway_service.config.model import Timeouts
from gateway_service.config.values import NO_LIMIT
from gateway_service.http1.connection import ClientConnection
from gateway_service.http1.parsing.limits import ClientTimeouts

GET = b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n"
BIG = 3_000_000


def pattern(size: int) -> bytes:
    return hashlib.sha256(b"seed").digest() * (size // 32)


async def eventually(condition: Callable[[], bool], within: float = 3.0) -> None:
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - a test's patience
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_large_body_goes_up(
    framing: str, upstream: RawUpstream, tmp_path: Path
) -> None:
    body = pattern(BIG) + b"and this is how it ends"
    head = b"PUT /api/x HTTP/1.1\r\nHost: a\r\n"
    if framing == "chunked":
        head += b"Transfer-Encoding: chunked\r\n\r\n"
        pieces = [
            b"%x\r\n%b\r\n" % (len(piece), piece)
            for piece in (body[at : at + 70_000] for at in range(0, len(body), 70_000))
        ] + [b"0\r\n\r\n"]
    else:
        head += b"Content-Length: %d\r\n\r\n" % len(body)
        pieces = [body]
    received: list[bytes] = []

    async def script(call: Call) -> None:
        end = b"0\r\n\r\n" if framing == "chunked" else b"how it ends"
        while not call.received.endswith(end):
            await call.receive(len(call.received) + 1)
        received.append(bytes(call.received))
        await call.send(OK)

    upstream.script = script
    config = config_for(upstream.port, body_limit=len(body))
    async with (
        running_gateway(config, tmp_path) as gateway,
        raw_client(gateway.port) as client,
    ):
        await client.send(head, *pieces)
        assert (await client.answer()).status == 200
    assert upstream.calls[0].requests()[0].body == body


def refuse_uploads(listener: socket.socket, count: int, size: int) -> None:
    """Respond to the head of each request, and reset the connection."""
    for _ in range(count):
        connection, _ = listener.accept()
        with connection:
            received = b""
            while b"\r\n\r\n" not in received:
                data = connection.recv(1_024)  # so some of it stays unread
                assert data, "the gateway has left"
                received += data
            head = b"HTTP/1.1 413 No\r\nContent-Length: %d\r\n\r\n" % size
            connection.sendall(head + bytes(size))


@pytest.mark.parametrize("size", [0, 100_000])
async def test_a_replica_may_refuse_an_upload_and_leave(
    tmp_path: Path, size: int
) -> None:
    times = 40  # its refusal meets a write in one of three
    head = b"POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % BIG
    pieces = [bytes(BIG // 60)] * 60
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        refusing = asyncio.create_task(
            asyncio.to_thread(refuse_uploads, listener, times, size)
        )
        config = config_for(listener.getsockname()[1], body_limit=BIG)
        async with running_gateway(config, tmp_path) as gateway:
            for _ in range(times):
                async with raw_client(gateway.port) as client:
                    sending = asyncio.create_task(client.send(head, *pieces))
                    answer = await client.answer()
                    assert (answer.status, len(answer.body)) == (413, size)
                    await sending
            [replica] = gateway.content.replicas
            assert replica.failures == 0
        await refusing


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_large_body_comes_down(
    framing: str, gateway: RunningGateway, upstream: RawUpstream
) -> None:
    body = pattern(BIG)
    if framing == "chunked":
        pieces = [b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)]
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    else:
        pieces = [body]
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    upstream.script = once(head, *pieces)
    assert (await ask(gateway.port, GET)).body == body


async def test_bytes_are_passed_on_as_they_come(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    """Server-sent events, and every other slow body."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    sent = asyncio.Event()

    async def script(call: Call) -> None:
        await call.request()
        await call.send(head + b"Transfer-Encoding: chunked\r\n\r\n")
        for event in (b"data: 1\n\n", b"data: 2\n\n"):
            await call.send(b"9\r\n" + event + b"\r\n")
            await asyncio.wait_for(sent.wait(), 2)
            sent.clear()
        await call.send(b"0\r\n\r\n")

    upstream.script = script
    async with raw_client(gateway.port) as client:
        await client.send(GET)
        for event in (b"data: 1\n\n", b"data: 2\n\n"):
            await asyncio.wait_for(client.reader.readuntil(event), 2)
            sent.set()


async def test_g17_a_client_that_does_not_read_stops_the_upstream_and_is_cut(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    sent = 0

    async def send_on(call: Call) -> None:
        nonlocal sent
        while not call.is_over:
            await call.send(b"a" * 100_000)
            sent += 100_000

    async def script(call: Call) -> None:
        await call.request()
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        await asyncio.gather(call.until_over(), send_on(call))

    upstream.script = script
    timeouts = Timeouts(total=NO_LIMIT)
    config = config_for(
        upstream.port, timeouts=timeouts, client_timeouts=ClientTimeouts(send=0.5)
    )
    async with (
        running_gateway(config, tmp_path) as gateway,
        raw_client(gateway.port) as client,
    ):
        await client.send(GET)
        await asyncio.sleep(0.3)
        held = sent
        await asyncio.sleep(0.1)
        assert sent - held < 1_000_000
        assert held < 30_000_000
        await eventually(lambda: upstream.calls[0].is_over)
        await eventually(lambda: not in_flight(gateway))


def in_flight(gateway: RunningGateway) -> int:
    upstream = gateway.content
    return upstream.in_flight + sum(r.in_flight for r in upstream.replicas)


@pytest.mark.quiet
async def test_g17_a_head_must_come_in_time(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    config = config_for(upstream.port, client_timeouts=ClientTimeouts(head=0.3))
    async with running_gateway(config, tmp_path) as gateway:
        started_at = time.monotonic()
        async with (
            raw_client(gateway.port) as dribbler,
            raw_client(gateway.port) as mute,
        ):
            await dribbler.send(*[b"GET /api"[n : n + 1] for n in range(8)], pause=0.02)
            assert (await dribbler.answer()).status == 408
            assert await mute.rest() == b""
        assert time.monotonic() - started_at < 2


async def test_g17_a_body_must_come_in_time(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    timeouts = ClientTimeouts(body=0.3, body_rate=1_000_000)
    config = config_for(upstream.port, client_timeouts=timeouts)
    async with (
        running_gateway(config, tmp_path) as gateway,
        raw_client(gateway.port) as client,
    ):
        await client.send(
            b"POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n",
            *[b"a"] * 5,
            pause=0.1,
        )
        answer = await client.answer()
    assert (answer.status, answer.value("Connection")) == (408, "close")
    assert upstream.calls == []


async def test_g17_a_connection_may_be_idle_only_so_long(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    config = config_for(upstream.port, client_timeouts=ClientTimeouts(keep_alive=0.3))
    async with (
        running_gateway(config, tmp_path) as gateway,
        raw_client(gateway.port) as client,
    ):
        await client.send(GET)
        assert (await client.answer()).status == 200
        assert await client.rest(within=2) == b""


@pytest.mark.quiet
async def test_g17_an_answer_must_end_in_time(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    async def script(call: Call) -> None:
        await call.request()
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n")
        while not call.is_over:
            await call.send(b"a", pause=0.1)

    upstream.script = script
    started_at = time.monotonic()
    async with raw_client(gateway.port) as client:
        await client.send(GET)
        with pytest.raises(IncompleteAnswerError):
            await client.answer()
    assert SHORT.total - 0.5 < time.monotonic() - started_at < SHORT.total + 1


@pytest.mark.quiet
async def test_a_stalled_answer_is_cut(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"
    upstream.script = once(head, ends=False)
    started_at = time.monotonic()
    async with raw_client(gateway.port) as client:
        await client.send(GET)
        with pytest.raises(IncompleteAnswerError):
            await client.answer()
    assert time.monotonic() - started_at < SHORT.idle + 1


@pytest.mark.parametrize("how", ["reset", "close"])
async def test_a_client_that_leaves_ends_the_work_for_it(
    how: str, upstream: RawUpstream, tmp_path: Path
) -> None:
    upstream.script = once(ends=False)
    config = config_for(upstream.port, timeouts=Timeouts(response_head=30))
    async with running_gateway(config, tmp_path) as gateway:
        async with raw_client(gateway.port) as client:
            await client.send(GET)
            await eventually(lambda: bool(upstream.calls and upstream.requests))
            if how == "reset":
                client.reset()
        await eventually(lambda: upstream.calls[0].is_over)
        await eventually(lambda: not in_flight(gateway))


@pytest.mark.quiet
async def test_clients_that_leave_anywhere_leave_nothing_behind(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    body = pattern(500_000)
    upload = b"POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n" + body
    upstream.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 499968\r\n\r\n" + body[32:]
    config = config_for(upstream.port)
    async with running_gateway(config, tmp_path) as gateway:
        for number in range(60):
            async with raw_client(gateway.port) as client:
                request = upload if number % 2 else GET
                await client.send(request[: 1 + number * 9_000])
                await asyncio.sleep(number % 7 * 0.002)
                client.reset()
        await eventually(lambda: not in_flight(gateway))
        upstream.answer = OK
        await eventually(lambda: not open_connections(gateway))
        assert (await ask(gateway.port, GET)).status == 200


def open_connections(gateway: RunningGateway) -> list[object]:
    server = gateway.app.server
    assert server is not None
    return list(server.connections)


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def connections_in_memory() -> int:
    """Count by type: objects of compiled classes take no weak references."""
    return sum(type(each) is ClientConnection for each in gc.get_objects())


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("how", ["reset", "close"])
@pytest.mark.parametrize("length", [40_000, 400_000], ids=["gathered", "streamed"])
async def test_an_upload_that_is_broken_off_leaves_no_garbage(
    length: int, how: str, upstream: RawUpstream, tmp_path: Path
) -> None:
    """Cycles of references would keep its buffers until they are collected."""
    head = b"POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % length
    config = config_for(upstream.port, body_limit=length)
    async with running_gateway(config, tmp_path) as gateway:
        async with raw_client(gateway.port) as client:
            await client.send(head, bytes(length // 2))
            await eventually(lambda: bool(open_connections(gateway)))
            assert connections_in_memory() == 1
            if how == "reset":
                client.reset()
        await eventually(lambda: not connections_in_memory())


UPGRADE = (
    b"GET /api/ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


async def test_a_websocket_passes_both_ways(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    async def script(call: Call) -> None:
        await call.head()
        assert b"\r\nUpgrade: websocket\r\n" in call.received
        assert b"\r\nConnection: upgrade\r\n" in call.received
        await call.send(SWITCHED + b"first")
        before = len(call.received)
        await call.receive(before + 5)
        await call.send(bytes(call.received[before:]).upper())
        await call.until_over()

    upstream.script = script
    async with raw_client(gateway.port) as client:
        await client.send(UPGRADE)
        head = await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), 2)
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"Upgrade: websocket\r\n" in head
        assert b"Connection: upgrade\r\n" in head
        assert b"Sec-WebSocket-Accept" in head
        assert await client.reader.readexactly(5) == b"first"
        await client.send(b"hello")
        assert await client.reader.readexactly(5) == b"HELLO"
    await eventually(lambda: upstream.calls[0].is_over)
    await eventually(lambda: not in_flight(gateway))


async def test_a_refused_upgrade_hides_no_request(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    """What follows an upgrade that is refused is a request to the gateway."""
    upstream.answer = b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n"
    async with raw_client(gateway.port) as client:
        await client.send(UPGRADE + b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n")
        client.end()
        assert statuses(await client.rest()) == [426, 404]
    assert [request.target for request in upstream.requests] == ["/api/ws"]


async def test_two_requests_after_an_upgrade_are_routed_one_by_one(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    upstream.answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
    async with raw_client(gateway.port) as client:
        await client.send(UPGRADE + b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await client.answer()).status == 400
        assert (await client.answer()).status == 404
    assert [request.target for request in upstream.requests] == ["/api/ws"]


@pytest.mark.parametrize(
    "request_",
    [
        UPGRADE.replace(b"websocket", b"h2c"),
        UPGRADE.replace(b"GET", b"POST"),
        UPGRADE.replace(b"HTTP/1.1", b"HTTP/1.0"),
        UPGRADE.replace(b", Upgrade", b""),
    ],
    ids=["h2c", "post", "http 1.0", "not named"],
)
async def test_only_a_proper_upgrade_is_passed_on(
    request_: bytes, gateway: RunningGateway, upstream: RawUpstream
) -> None:
    assert (await ask(gateway.port, request_)).status == 200
    assert upstream.requests[0].values("Upgrade") == []
    assert upstream.requests[0].values("Connection") == []


async def test_an_http_10_client_is_served_and_its_connection_closed(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    async with raw_client(gateway.port) as client:
        await client.send(b"GET /api/x HTTP/1.0\r\n\r\n")
        received = await client.rest()
    assert statuses(received) == [200]
    assert received.endswith(b"ok")
    assert upstream.requests[0].value("Host") == "content"
