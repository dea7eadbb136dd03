"""Bodies that are passed on from one buffer, which all connections have in common."""

import asyncio
import hashlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from tests.gateway.test_access_log import logged
from tests.support.certificates import write_certificate
from tests.support.gateway import RunningGateway, config_for, running_gateway
from tests.support.raw_client import IncompleteAnswerError, RawClient, ask, raw_client
from tests.support.raw_upstream import Call, RawUpstream

from gateway_service.config.clients import TlsConfig
from gateway_service.http1.body_receiver import BodyReceiver
from gateway_service.http1.streams import HIGH_WATER, Stream
from gateway_service.http1.write_batch import WriteBatch

GET = b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n"
SIZE = 1_500_000
ONE_READ = 262_144


def body_of(number: int, size: int = SIZE) -> bytes:
    """Return a body in which each block says where it belongs."""
    blocks = range(0, size, 32)
    data = b"".join(hashlib.sha256(b"%d %d" % (number, at)).digest() for at in blocks)
    return data[:size]


def ok(body: bytes, length: int | None = None) -> bytes:
    length = len(body) if length is None else length
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length + body


def put(body: bytes) -> bytes:
    head = b"PUT /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body


class Source:
    """Stands in for a connection."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")


class Slow:
    """Takes so many bytes at once."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.taken = b""

    def take(self, data: bytes | memoryview) -> int:
        self.taken += data[: self.size]
        return min(self.size, len(data))


async def test_what_a_sink_leaves_is_read_and_nothing_overtakes_it() -> None:
    stream, sink = Stream(Source(), asyncio.get_running_loop()), Slow(3)
    stream.offer_to(sink.take)
    buffer = bytearray(b"abcdef")
    stream.feed(memoryview(buffer))
    buffer[:] = b"------"  # the next read
    stream.feed(b"ghi")
    assert (sink.taken, stream.held) == (b"abc", 6)
    assert await stream.read() == b"defghi"
    stream.feed(b"jkl")  # the reader still writes what it has read
    assert sink.taken == b"abc"
    assert await stream.read() == b"jkl"
    reading = asyncio.create_task(stream.read())
    await asyncio.sleep(0)
    stream.feed(b"mno")
    stream.end()
    assert sink.taken == b"abcmno"
    assert await reading == b""


async def test_a_sink_that_takes_nothing_has_the_sender_wait() -> None:
    source, sink = Source(), Slow(0)
    stream = Stream(source, asyncio.get_running_loop())
    stream.offer_to(sink.take)
    stream.feed(bytes(HIGH_WATER + 1))
    sink.size = HIGH_WATER
    await stream.read()
    assert source.calls == ["pause"], "the reader has yet to pass it on"
    reading = asyncio.create_task(stream.read())
    await asyncio.sleep(0)
    assert source.calls == ["pause", "resume"]
    stream.feed(bytes(HIGH_WATER))
    stream.end()
    assert await reading == b""


async def test_what_comes_too_fast_waits_for_the_next_turn() -> None:
    source, sink = Source(), Slow(ONE_READ)
    stream = Stream(source, asyncio.get_running_loop())
    reading = asyncio.create_task(stream.read())
    await asyncio.sleep(0)
    stream.offer_to(sink.take)
    for _ in range(5):
        stream.feed(bytes(ONE_READ))
    assert (len(sink.taken), stream.held) == (4 * ONE_READ, ONE_READ)
    assert source.calls == ["pause"]
    assert await reading == bytes(ONE_READ)
    reading = asyncio.create_task(stream.read())
    await asyncio.sleep(0)
    stream.feed(b"next")
    stream.end()
    assert sink.taken[4 * ONE_READ :] == b"next"
    assert await reading == b""


class Lost(asyncio.Protocol):
    """Records how its connection ended."""

    def __init__(self) -> None:
        self.error: asyncio.Future[Exception | None] = asyncio.Future()

    def connection_lost(self, exc: Exception | None) -> None:
        self.error.set_result(exc)


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[asyncio.Transport, Lost, socket.socket]]:
    """Connect a transport with a socket."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        transport, lost = await loop.create_connection(Lost, "127.0.0.1", port)
        peer, _ = listener.accept()
    with peer:
        peer.setblocking(False)  # noqa: FBT003 - the socket's signature
        yield transport, lost, peer
    transport.abort()
    await lost.error


class Upload(asyncio.Protocol):
    """A connection that receives a body after a head."""

    body_left = 0

    def __init__(self) -> None:
        self.received: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        self.body_left = SIZE
        self.received.append(data)

    def body_received(self, data: memoryview) -> None:
        self.body_left -= len(data)
        self.received.append(bytes(data))


async def test_little_of_a_body_is_read_with_its_head() -> None:
    upload, head = Upload(), b"PUT /api/x HTTP/1.1\r\n\r\n"
    receiver = BodyReceiver(upload, asyncio.Transport(), first_read=81_920)
    messages = memoryview(head + body_of(1))
    while messages:
        buffer = receiver.get_buffer(-1)
        size = min(len(buffer), len(messages))
        buffer[:size] = messages[:size]
        receiver.buffer_updated(size)
        messages = messages[size:]

    sizes = [len(each) for each in upload.received]
    assert sizes[:3] == [len(head), 81_920 - len(head), ONE_READ]
    assert b"".join(upload.received) == head + body_of(1)


async def test_nothing_overtakes_what_the_transport_has_to_send() -> None:
    async with connected() as (transport, _, peer):
        batch = WriteBatch(asyncio.get_running_loop())
        batch.add(transport, b"first")
        assert batch.write_now(transport, b"second") == 6
        assert peer.recv(100) == b"firstsecond"
        transport.write(bytes(20_000_000))
        with suppress(BlockingIOError):
            while peer.recv(1_000_000):  # so the system has room again
                pass
        assert batch.write_now(transport, b"third") == 0


async def test_a_connection_that_was_reset_ends_with_its_error() -> None:
    async with connected() as (transport, lost, peer):
        linger = struct.pack("ii", 1, 0)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        peer.close()
        batch = WriteBatch(asyncio.get_running_loop())
        assert batch.write_now(transport, b"lost") == 4
        assert transport.is_closing()
        assert batch.write_now(transport, b"lost") == 0
        assert isinstance(await lost.error, ConnectionError)


@pytest.mark.parametrize("reads_slowly", [False, True], ids=["fast", "slow"])
async def test_bodies_of_many_connections_are_not_mixed_up(
    upstream: RawUpstream, tmp_path: Path, *, reads_slowly: bool
) -> None:
    async def script(call: Call) -> None:
        while (request := await call.request()) is not None:
            if reads_slowly:
                await asyncio.sleep(0.05)
            await call.send(ok(request.body[::-1]))

    async def exchange(number: int) -> bool:
        async with raw_client(gateway.port) as client:
            body = body_of(number)
            sending = asyncio.create_task(client.send(put(body)))
            if reads_slowly:
                await asyncio.sleep(0.05 * number)
            answer = await client.answer(within=20)
            await sending
            return answer.body == body[::-1]

    upstream.script = script
    config = config_for(upstream.port, body_limit=SIZE)
    async with running_gateway(config, tmp_path) as gateway:
        assert all(await asyncio.gather(*map(exchange, range(6))))


async def test_long_and_short_messages_share_connections(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    sizes = (SIZE, 5, SIZE, 0, 70_000, 300_000, 9)

    async def script(call: Call) -> None:
        while (request := await call.request()) is not None:
            await call.send(ok(request.body[::-1]))

    upstream.script = script
    config = config_for(upstream.port, body_limit=SIZE)
    async with (
        running_gateway(config, tmp_path) as gateway,
        raw_client(gateway.port) as client,
    ):
        bodies = [body_of(number, size) for number, size in enumerate(sizes)]
        sending = asyncio.create_task(client.send(b"".join(map(put, bodies))))
        for body in bodies:
            answer = await client.answer(within=10)
            assert answer.body == body[::-1]
        await sending
    assert [request.body for request in upstream.requests] == bodies
    assert len(upstream.calls) == 1


async def test_a_client_that_does_not_read_has_little_held_for_it(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    async def script(call: Call) -> None:
        await call.request()
        await asyncio.gather(call.until_over(), call.send(ok(bytes(100 * SIZE))))

    upstream.script = script
    async with raw_client(gateway.port) as client:
        await client.send(GET)
        server = gateway.app.server
        assert server is not None
        held = 0
        for _ in range(20):
            await asyncio.sleep(0.02)
            held = max(held, *(each.held for each in server.connections))
        assert HIGH_WATER < held < 2 * ONE_READ


@pytest.mark.parametrize("sent", [SIZE // 2, SIZE])
async def test_a_body_that_breaks_off_breaks_the_response(
    sent: int, gateway: RunningGateway, upstream: RawUpstream
) -> None:
    async def script(call: Call) -> None:
        await call.request()
        await call.send(ok(body_of(1)[:sent], SIZE + 1))
        call.close()

    upstream.script = script
    with pytest.raises(IncompleteAnswerError):
        await ask(gateway.port, GET)


async def test_a_body_of_unknown_length_comes_down(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    async def script(call: Call) -> None:
        await call.request()
        await call.send(b"HTTP/1.1 200 OK\r\n\r\n" + body_of(1))
        call.close()

    upstream.script = script
    assert (await ask(gateway.port, GET)).body == body_of(1)


async def test_the_access_log_counts_what_was_sent_at_once(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    upstream.answer = ok(body_of(1))
    [line] = await logged(upstream, tmp_path, GET)
    assert line["bytes"] == SIZE


async def test_a_body_is_encrypted_for_clients_with_tls(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    certificate, key = write_certificate(tmp_path, "a.test")
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    config = config_for(
        upstream.port, tls=TlsConfig(str(certificate), str(key)), body_limit=SIZE
    )
    body = body_of(1)
    upstream.answer = ok(body)
    async with running_gateway(config, tmp_path) as gateway:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", gateway.port, ssl=trusting
        )
        client = RawClient(reader, writer)
        sending = asyncio.create_task(client.send(put(body)))
        assert (await client.answer()).body == body
        await sending
        writer.close()
    assert upstream.requests[0].body == body
