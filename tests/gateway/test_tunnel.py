"""WebSockets when the gateway ends."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.support.gateway import RunningGateway, config_for, running_gateway
from tests.support.raw_client import raw_client
from tests.support.raw_upstream import Call, RawUpstream
from tests.support.waiting import until

from gateway_service.proxy.tunnel import Frames

UPGRADE = (
    b"GET /api/x HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\n\r\n"
)
HELLO = b"\x81\x05hello"
CLOSE = b"\x88\x02\x03\xe9"
MASKED_HELLO = b"\x81\x85\0\0\0\0hello"
MASKED_CLOSE = b"\x88\x82\0\0\0\0\x03\xe9"
LONG = b"\x82\x7e\x01\x00" + b"x" * 256
LONGER = b"\x82\x7f" + (70_000).to_bytes(8, "big") + b"x" * 70_000


@pytest.mark.parametrize("step", [1, 3, 1_000])
def test_frames_are_told_apart_however_they_come(step: int) -> None:
    frames = [HELLO, MASKED_HELLO, LONG, b"\x89\x00", LONGER, b"\x81\x80\0\0\0\0"]
    stream = b"".join(frames)
    ends = {sum(map(len, frames[: count + 1])) for count in range(len(frames))}
    reader = Frames()

    for at in range(0, len(stream), step):
        reader.feed(stream[at : at + step])
        assert reader.is_between is (min(at + step, len(stream)) in ends)


@pytest.mark.parametrize(
    ("sent", "closing"),
    [
        pytest.param(HELLO, CLOSE, id="between frames"),
        pytest.param(HELLO[:4], b"", id="within a frame nothing may be said"),
    ],
)
async def test_websockets_get_1001_when_the_gateway_ends(
    sent: bytes, closing: bytes, upstream: RawUpstream, tmp_path: Path
) -> None:
    async def script(call: Call) -> None:
        await call.head()
        await call.send(SWITCH + sent)
        await call.until_over()

    upstream.script = script
    async with AsyncExitStack() as clients:
        async with running_gateway(config_for(upstream.port), tmp_path) as gateway:
            client = await clients.enter_async_context(raw_client(gateway.port))
            await client.send(UPGRADE + MASKED_HELLO)
            await until(
                lambda: upstream.calls and MASKED_HELLO in upstream.calls[0].received
            )
        received = await client.rest()

    assert received.partition(b"\r\n\r\n")[2] == sent + closing
    await until(lambda: upstream.calls[0].received.endswith(MASKED_CLOSE))


async def test_websockets_opened_while_the_gateway_ends_get_1001_too(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    is_ending = asyncio.Event()

    async def script(call: Call) -> None:
        await call.head()
        await is_ending.wait()
        await call.send(SWITCH)
        await call.until_over()

    upstream.script = script
    async with (
        running_gateway(config_for(upstream.port), tmp_path) as gateway,
        raw_client(gateway.port) as client,
    ):
        await client.send(UPGRADE)
        await until(lambda: upstream.calls)
        stopping = asyncio.create_task(gateway.app.server.stop(grace=3))
        await asyncio.sleep(0)
        is_ending.set()
        received = await client.rest(within=1)
        assert received.partition(b"\r\n\r\n")[2] == CLOSE
        client.writer.close()
        await stopping


async def test_what_a_client_sent_before_it_ended_reaches_a_busy_replica(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    is_read = asyncio.Event()

    async def script(call: Call) -> None:
        await call.head()
        await call.send(SWITCH)
        await is_read.wait()
        # What the gateway has not read when it closes would reset the connection.
        await call.send(HELLO * 1_000)
        await asyncio.sleep(0.1)
        await call.send(HELLO)
        await call.until_over()
        await call.send(LONG)

    upstream.script = script
    async with raw_client(gateway.port) as client:
        await client.send(UPGRADE)
        await client.reader.readuntil(b"\r\n\r\n")
        await client.send(MASKED_HELLO * 10_000)
        client.end()
        is_read.set()
        received = await client.rest()

    assert received == HELLO * 1_001 + LONG
    _, _, sent = upstream.calls[0].received.partition(b"\r\n\r\n")
    assert sent == MASKED_HELLO * 10_000


async def test_very_many_frames_arrive_whole_and_have_some_in_each_turn(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    async def script(call: Call) -> None:
        await call.head()
        await call.send(SWITCH)
        await call.until_over()

    frames = b"\x82\x80\0\0\0\0" * 50_000 + MASKED_HELLO
    at = Frames().feed(frames)
    assert 0 < at <= 1_000

    upstream.script = script
    async with raw_client(gateway.port) as client:
        await client.send(UPGRADE)
        await client.reader.readuntil(b"\r\n\r\n")
        await client.send(frames)
        await until(lambda: upstream.calls[0].received.endswith(frames))
