"""What happens when several things come in one turn of the event loop.

The gateway writes at the end of a turn, so these put things into sockets by system
calls, without giving the loop a turn between them.
"""

import asyncio
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.gateway import (
    RunningGateway,
    config_for,
    running_gateway,
)
from tests.support.raw_client import ask, raw_client, statuses
from tests.support.raw_upstream import OK, Call, RawUpstream, raw_upstream
from tests.support.standstill import stand_still_while_reading
from tests.support.waiting import until

from gateway_service.config.clients import Limits
from gateway_service.config.model import Timeouts
from gateway_service.http1.connection import ClientConnection
from gateway_service.http1.parsing.limits import ClientTimeouts
from gateway_service.http1.turns import Turns
from gateway_service.upstreams.replica import ReplicaHealth
from service_kit.observability.request_id import NO_REQUEST, request_id

GET = b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n"
MISSING = b"GET /nope HTTP/1.1\r\nHost: a\r\n\r\n"
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@contextmanager
def plain_client(port: int, receives: int | None = None) -> Iterator[socket.socket]:
    """Connect; `receives` bytes or so are taken from the network without a read."""
    with socket.socket() as client:
        if receives is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
        client.connect(("127.0.0.1", port))
        client.setblocking(False)  # noqa: FBT003 - the socket's signature
        yield client


async def received_by(client: socket.socket, within: float = 1.0) -> bytes:
    """Return what has come once nothing more does."""
    loop = asyncio.get_running_loop()
    received = b""
    try:
        async with asyncio.timeout(within):
            while data := await loop.sock_recv(client, 65_536):
                received += data
    except (TimeoutError, ConnectionError):
        pass
    return received


@pytest.mark.quiet
async def test_clients_that_reset_cost_no_other_client_its_answer(
    gateway: RunningGateway,
) -> None:
    over_at = time.monotonic() + 1.0

    async def vanish() -> None:
        while time.monotonic() < over_at:
            with plain_client(gateway.port) as client:
                client.send(MISSING * 3)
                await asyncio.sleep(0.001)
                linger = (socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                client.setsockopt(*linger)

    async def stay() -> None:
        while time.monotonic() < over_at:
            assert (await ask(gateway.port, GET, within=2)).status == 200

    async with asyncio.TaskGroup() as tasks:
        for each in (vanish, vanish, stay, stay, stay, stay):
            tasks.create_task(each())


def silent(upstream: RawUpstream) -> asyncio.Event:
    """Let an upstream answer nothing of itself; return what says that it was asked."""
    asked = asyncio.Event()

    async def script(call: Call) -> None:
        await call.request()
        asked.set()
        await call.until_over()

    upstream.script = script
    return asked


async def test_a_client_that_ends_and_reads_nothing_keeps_no_connection(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    upstream.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n" + bytes(
        60_000
    )
    timeouts = ClientTimeouts(send=0.3)
    config = config_for(upstream.port, client_timeouts=timeouts)
    async with running_gateway(config, tmp_path) as gateway:
        server = gateway.app.server
        with plain_client(gateway.port, receives=1) as client:
            await until(lambda: bool(server.connections))
            [connection] = server.connections
            sock = connection._transport.get_extra_info("socket")  # noqa: SLF001 - nobody else has it
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
            client.send(GET)
            await until(lambda: bool(upstream.requests) and connection.is_idle)
            client.shutdown(socket.SHUT_WR)
            await until(lambda: not server.connections)


async def test_an_answer_that_comes_with_the_end_of_sending_is_not_lost(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    asked = silent(upstream)
    config = config_for(upstream.port)
    async with running_gateway(config, tmp_path) as gateway:
        with plain_client(gateway.port) as client:
            client.send(GET)
            await asked.wait()
            upstream.calls[-1].send_now(OK)
            client.shutdown(socket.SHUT_WR)
            assert statuses(await received_by(client)) == [200]


async def test_a_connection_that_an_answer_was_left_on_is_asked_nothing(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    """It reads no more: the end came for a client that could not take it."""
    upstream.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 70005\r\n\r\nbegun"
    with plain_client(gateway.port) as client:
        client.send(GET)
        assert await asyncio.get_running_loop().sock_recv(client, 65_536)
        upstream.answer = OK
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        client.close()
        upstream.calls[0].send_now(bytes(70_000))
    assert (await ask(gateway.port, GET)).status == 200


async def test_g12_what_comes_before_the_request_was_sent_is_not_its_answer(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    with plain_client(gateway.port) as client:
        client.send(GET)
        assert await asyncio.get_running_loop().sock_recv(client, 65_536)
        client.send(GET)
        upstream.calls[0].send_now(OK.replace(b"ok", b"no"))
        assert (await received_by(client)).endswith(b"ok")
    assert [len(call.requests()) for call in upstream.calls] == [1, 1]


@pytest.mark.parametrize("rest", [b"0\r\n\r\n", b""], ids=["complete", "unfinished"])
async def test_g4_a_refusal_in_the_turn_of_an_early_answer_is_the_only_answer(
    rest: bytes, upstream: RawUpstream, tmp_path: Path
) -> None:
    begun = asyncio.Event()

    async def script(call: Call) -> None:
        await call.receive(150_000)
        begun.set()
        await call.until_over()

    upstream.script = script
    config = config_for(
        upstream.port, body_limit=200_000, timeouts=Timeouts(1, 8, 8, 20)
    )
    head = b"POST /api/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with running_gateway(config, tmp_path) as gateway:
        with plain_client(gateway.port) as client:
            first = head + b"%x\r\n%b\r\n" % (150_000, b"x" * 150_000)
            await asyncio.get_running_loop().sock_sendall(client, first)
            await begun.wait()
            await asyncio.sleep(0.1)  # the gateway waits for more, too
            client.send(b"%x\r\n%b\r\n" % (60_000, b"x" * 60_000) + rest)
            upstream.calls[-1].send_now(
                b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun"
            )
            received = await received_by(client)
    assert received.count(b"HTTP/1.1 ") == 1, received


async def ask_for_ever(client: socket.socket) -> None:
    while True:
        await asyncio.get_running_loop().sock_sendall(client, GET * 50)


@pytest.mark.quiet
async def test_answers_do_not_pile_up_for_a_client_that_only_asks(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    body = b"x" * 60_000
    upstream.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n" + body
    config = config_for(upstream.port, client_timeouts=ClientTimeouts(send=0.5))
    async with running_gateway(config, tmp_path) as gateway:
        with (
            plain_client(gateway.port, receives=65_536) as client,
            pytest.raises(ConnectionError),
        ):
            await asyncio.wait_for(ask_for_ever(client), 60)
        assert len(upstream.requests) * len(body) < 30_000_000


async def test_requests_behind_answers_that_wait_are_answered_in_the_end(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    body = b"x" * 60_000
    upstream.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n" + body
    async with (
        running_gateway(config_for(upstream.port), tmp_path) as gateway,
        raw_client(gateway.port) as client,
    ):
        await client.send(GET * 200)
        for _ in range(200):
            assert (await client.answer()).body == body


async def test_a_replica_that_vanishes_leaves_its_requests_to_those_left(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    asked = silent(upstream)
    async with (
        raw_upstream() as other,
        running_gateway(config_for(upstream.port, other.port), tmp_path) as gateway,
    ):
        content = gateway.content
        first, second = content.replicas
        content.report(second, ReplicaHealth.NOT_READY)
        asking = asyncio.create_task(ask(gateway.port, GET))
        await asked.wait()
        content.report(first, ReplicaHealth.UNREACHABLE)
        assert (await asking).status == 200
        assert len(other.requests) == 1


@pytest.mark.parametrize("value", ["x", "0", "-1", "5"])
async def test_g3_max_forwards_of_other_methods_goes_no_further(
    value: str, gateway: RunningGateway, upstream: RawUpstream
) -> None:
    request = f"GET /api/x HTTP/1.1\r\nHost: a\r\nMax-Forwards: {value}\r\n\r\n"
    assert (await ask(gateway.port, request.encode())).status == 200
    assert upstream.requests[0].value("Max-Forwards") is None


async def test_g1_a_connection_option_takes_the_origin_out(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    lines = b"Host: a\r\nOrigin: http://localhost:8081\r\nConnection: origin"
    answer = await ask(gateway.port, b"GET /api/x HTTP/1.1\r\n%b\r\n\r\n" % lines)
    assert answer.status == 200
    assert upstream.requests[0].value("Origin") is None


async def test_g14_an_upload_that_pauses_is_not_given_up_for_another_replica(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    body = b"x" * 400_000
    timeouts = Timeouts(response_head=3, idle=0.3)
    head = b"POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\n"
    async with (
        raw_upstream() as other,
        running_gateway(
            config_for(
                upstream.port, other.port, body_limit=len(body), timeouts=timeouts
            ),
            tmp_path,
        ) as gateway,
        raw_client(gateway.port) as client,
    ):
        await client.send(head + body[:200_000])
        await client.send(body[200_000:300_000], body[300_000:], pause=0.8)
        answer = await client.answer()
        replicas = gateway.content.replicas
        assert [each.failures for each in replicas] == [0, 0]
    assert answer.status == 200
    assert len(upstream.requests) + len(other.requests) == 1


async def test_g7_a_request_line_has_its_own_limit(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    config = config_for(upstream.port, limits=Limits(request_line=256))
    async with running_gateway(config, tmp_path) as gateway:
        line = b"GET /api/%b HTTP/1.1\r\n" % (b"x" * 1_000)
        assert (await ask(gateway.port, line + b"Host: a\r\n\r\n")).status == 414


@pytest.mark.parametrize("is_shed", [False, True], ids=["closed", "shed"])
async def test_no_connection_outlives_a_client_that_leaves_its_last_response_unread(
    upstream: RawUpstream, tmp_path: Path, *, is_shed: bool
) -> None:
    """The system has taken a part, and the gateway holds too little to be full."""
    body = bytes(60_000)
    upstream.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n" + body
    request = GET if is_shed else GET.replace(b"Host", b"Connection: close\r\nHost")
    config = config_for(upstream.port, client_timeouts=ClientTimeouts(send=0.5))
    async with running_gateway(config, tmp_path) as gateway:
        server = gateway.app.server
        with plain_client(gateway.port, receives=1) as client:
            await until(lambda: server.connections)
            [connection] = server.connections
            transport = connection._transport  # noqa: SLF001 - nobody else has it
            sock = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
            client.send(request)
            await until(lambda: server.metrics.totals()["count"] == 1)
            if is_shed:
                server.connection_limit = 1
                server.make_room()
            assert transport.get_write_buffer_size() > 0
            open_ones = (server._connections, server._leaving)  # noqa: SLF001 - both
            await until(lambda: not any(open_ones))


async def test_what_is_held_of_a_connection_does_not_grow_with_its_bodies(
    gateway: RunningGateway,
) -> None:
    """Each body is more than is held of one, so reading pauses and goes on with it."""
    body = b"x" * 70_000
    request = b"POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n" + body
    most = 0
    async with raw_client(gateway.port) as client:
        sending = asyncio.create_task(client.send(request * 40))
        for _ in range(40):
            assert (await client.answer()).status == 200
            [connection] = gateway.app.server.connections
            assert isinstance(connection, ClientConnection)
            most = max(most, len(connection._reader.buffer))  # noqa: SLF001 - what is held
        await sending
    assert most <= 65_536 + 262_144


async def test_work_that_fails_leaves_the_others_their_turns(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails() -> None:
        raise ValueError

    turns, done = Turns(asyncio.get_running_loop()), asyncio.Event()
    for work in (fails, fails, done.set):
        turns.add(work)
    async with asyncio.timeout(1):
        await done.wait()
    assert caplog.messages[0].startswith("held work failed")


async def test_work_of_one_connection_is_done_in_no_request_of_another() -> None:
    turns = Turns(asyncio.get_running_loop())
    found: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    request_id.set("of another")
    turns.add(lambda: found.set_result(request_id.get()))
    assert await found == NO_REQUEST


async def test_a_post_is_sent_again_if_its_connection_ends_before_it_is_sent(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    """The replica ends idle connections, as at its own end, in any turn of the loop."""
    post = b"POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
    loop, lost = asyncio.get_running_loop(), []
    with plain_client(gateway.port) as client:

        async def received() -> list[int]:
            async with asyncio.timeout(5):
                return statuses(await loop.sock_recv(client, 65_536))

        for turns in [*range(8)] * 3:
            client.send(post)
            assert await received() == [200]
            before = len(upstream.requests)
            client.send(post)
            for _ in range(turns):
                await asyncio.sleep(0)
            upstream.calls[-1].end_now()
            if await received() != [200]:
                lost.append((turns, len(upstream.requests) - before))
    assert {delivered for _, delivered in lost} <= {1}, "a POST may be sent once"
    [replica] = gateway.content.replicas
    assert replica.failures == 0


async def test_a_post_is_sent_on_no_connection_that_the_replica_has_ended(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    """It does so after the loop has asked what can be read, the POST among it."""
    post = b"POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
    loop = asyncio.get_running_loop()
    here, there = socket.socketpair()

    def end() -> None:
        loop.remove_reader(there)
        upstream.calls[0].end_now()

    with here, there, plain_client(gateway.port) as client:
        loop.add_reader(there, end)
        client.send(post)
        assert statuses(await loop.sock_recv(client, 65_536)) == [200]
        here.send(b"x")
        client.send(post)
        assert statuses(await loop.sock_recv(client, 65_536)) == [200]
    assert len(upstream.calls) == 2


async def test_what_came_while_the_process_stood_still_is_read_first(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    async def script(call: Call) -> None:
        await call.request()
        await stand_still_while_reading(0.6, lambda: call.send_now(OK))
        await call.until_over()

    upstream.script = script
    config = config_for(upstream.port, timeouts=Timeouts(response_head=0.3))
    async with running_gateway(config, tmp_path) as gateway:
        assert (await ask(gateway.port, GET)).status == 200
        [replica] = gateway.content.replicas
        assert replica.failures == 0
