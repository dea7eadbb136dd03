"""Who may have how many connections, and who gives way when there are no more."""

import asyncio
import contextlib
import resource
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from tests.support.certificates import write_certificate
from tests.support.gateway import (
    SHORT,
    RunningGateway,
    config_for,
    running_gateway,
)
from tests.support.gateway_process import gateway_process
from tests.support.raw_client import ask, raw_client
from tests.support.raw_upstream import RawUpstream, raw_upstream, waiting_for
from tests.support.waiting import until

from gateway_service.config.clients import Limits, TlsConfig
from gateway_service.config.model import RetryConfig, Timeouts
from gateway_service.http1.acceptor import Acceptor
from gateway_service.http1.connection import ClientConnection
from gateway_service.http1.parsing.limits import ClientTimeouts
from gateway_service.http1.server import EdgeServer

GET = b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n"
WAIT = b"GET /api/wait HTTP/1.1\r\nHost: a\r\n\r\n"
BEGUN_POST = b"POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell"


@contextlib.contextmanager
def silent_connections(
    port: int, count: int, source: str = "127.0.0.1"
) -> Iterator[list[socket.socket]]:
    """Open connections that say nothing, from one address."""
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(
                socket.create_connection(
                    ("127.0.0.1", port), source_address=(source, 0)
                )
            )
            for _ in range(count)
        ]


def is_open(sock: socket.socket) -> bool:
    sock.setblocking(False)  # noqa: FBT003 - the socket's signature
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return True
    except OSError:
        return False


def held(gateway: RunningGateway) -> int:
    return len(gateway.app.server.connections)


def heads(server: EdgeServer) -> int:
    """Return how many connections have begun a request, or were shed."""
    return server.shed + sum(not each.is_idle for each in server.connections)


async def test_an_idle_connection_gives_way_to_a_new_one(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    config = config_for(upstream.port, limits=Limits(connections=20))
    async with running_gateway(config, tmp_path) as gateway:
        with silent_connections(gateway.port, 20) as silent:
            await until(lambda: held(gateway) == 20)
            assert (await ask(gateway.port, GET)).status == 200
            assert sum(map(is_open, silent)) >= 18
            assert gateway.metric("connections_shed_total") >= 1
            assert gateway.metric("connections_refused_total") == 0


async def test_the_client_with_the_most_connections_gives_way(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    config = config_for(upstream.port, limits=Limits(connections=20))
    async with running_gateway(config, tmp_path) as gateway:
        with (
            silent_connections(gateway.port, 5, "127.0.0.2") as few,
            silent_connections(gateway.port, 15) as many,
        ):
            await until(lambda: held(gateway) == 20)
            with silent_connections(gateway.port, 8, "127.0.0.3"):
                await until(lambda: gateway.app.server.shed >= 8)
                await until(lambda: sum(map(is_open, many)) <= 7)
            assert all(map(is_open, few))


@pytest.mark.parametrize("begun", [GET[:9], BEGUN_POST], ids=["head", "body"])
async def test_slow_requests_of_large_clients_give_way(
    begun: bytes, upstream: RawUpstream, tmp_path: Path
) -> None:
    limits = Limits(connections=160, connections_per_client=80)
    config = config_for(upstream.port, limits=limits)
    slow: dict[str, list[socket.socket]] = {"127.0.0.2": [], "127.0.0.3": []}
    async with running_gateway(config, tmp_path) as gateway:
        with contextlib.ExitStack() as stack:
            for number in range(160):
                source, others = [*slow.items()][number % 2]
                few = silent_connections(gateway.port, 1, source)
                [client] = stack.enter_context(few)
                client.sendall(begun)
                others.append(client)
                await until(lambda seen=number: heads(gateway.app.server) > seen)  # type: ignore[misc]
            assert (await ask(gateway.port, GET)).status == 200
            assert gateway.metric("connections_refused_total") == 0
            for others in slow.values():
                assert sum(map(is_open, others)) > 64


async def test_slow_requests_of_a_proxy_do_not_give_way(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    config = config_for(
        upstream.port,
        limits=Limits(connections=80, connections_per_client=10),
        trusted_proxies=("127.0.0.2/32",),
    )
    async with running_gateway(config, tmp_path) as gateway:
        with silent_connections(gateway.port, 75, "127.0.0.2") as proxied:
            for each in proxied:
                each.sendall(GET[:9])
            await until(lambda: heads(gateway.app.server) == 75)
            with silent_connections(gateway.port, 10, "127.0.0.3"):
                server = gateway.app.server
                await until(lambda: server.shed + server.refused > 0)
                assert all(map(is_open, proxied))


async def test_responses_that_large_clients_read_slowly_do_not_give_way(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    limits = Limits(connections=80, connections_per_client=80)
    config = config_for(upstream.port, limits=limits)
    async with running_gateway(config, tmp_path) as gateway:
        with silent_connections(gateway.port, 70):
            await until(lambda: held(gateway) == 70)
            server = gateway.app.server
            for each in server.connections:
                each.pause_writing()  # as the loop does while a client reads slowly
            server.make_room()
            assert server.shed == 0


async def test_connections_whose_requests_are_handled_do_not_give_way(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    async def never(_: object) -> None:
        await asyncio.Event().wait()

    upstream.script = never
    config = config_for(upstream.port, limits=Limits(connections=2))
    async with running_gateway(config, tmp_path) as gateway:
        with silent_connections(gateway.port, 2) as busy:
            for each in busy:
                each.sendall(GET)
            await until(lambda: len(upstream.calls) == 2)
            answer = await ask(gateway.port, GET)
            assert (answer.status, answer.json()["code"]) == (
                503,
                "too_many_connections",
            )
            assert all(map(is_open, busy))


async def test_refused_connections_take_no_place(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    limits = Limits(connections=100, connections_per_client=10)
    config = config_for(upstream.port, limits=limits)
    async with running_gateway(config, tmp_path) as gateway:
        with silent_connections(gateway.port, 400, "127.0.0.2"):
            await until(lambda: gateway.metric("connections_refused_total") == 390)
            assert held(gateway) == 10
            with silent_connections(gateway.port, 1) as others:
                await until(lambda: held(gateway) == 11)
                assert all(map(is_open, others))
                assert (await ask(gateway.port, GET)).status == 200
        await until(lambda: held(gateway) == 0)


async def test_an_ipv6_network_is_one_client_for_connections_too(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    config = config_for(upstream.port, limits=Limits(connections_per_client=2))
    addresses = [f"2001:db8:0:1::{number:x}" for number in range(5)]
    async with running_gateway(config, tmp_path) as gateway:
        server = gateway.app.server
        connections = [
            ClientConnection(server.loop, server, address)
            for address in [*addresses, "2001:db8:0:2::1"]
        ]
        admitted = [server.admit(each) for each in connections]
        for each in connections:
            server.leave(each)
    assert admitted == [True, True, False, False, False, True]


async def test_a_client_has_its_places_again_when_its_connections_end(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    config = config_for(upstream.port, limits=Limits(connections_per_client=2))
    async with running_gateway(config, tmp_path) as gateway:
        for _ in range(5):
            with silent_connections(gateway.port, 4):
                await until(lambda: held(gateway) == 2)
            await until(lambda: held(gateway) == 0)
            assert (await ask(gateway.port, GET)).status == 200


@asynccontextmanager
async def tls_gateway(
    upstream: RawUpstream,
    folder: Path,
    limits: Limits,
    head: float = 10.0,
    timeouts: Timeouts = SHORT,
) -> AsyncIterator[RunningGateway]:
    certificate, key = write_certificate(folder, "gateway.test")
    config = config_for(
        upstream.port,
        limits=limits,
        client_timeouts=ClientTimeouts(head=head),
        timeouts=timeouts,
        tls=TlsConfig(certificate=str(certificate), key=str(key)),
    )
    async with running_gateway(config, folder) as gateway:
        yield gateway


def trusting_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def test_handshakes_count_from_the_beginning(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    limits = Limits(connections_per_client=200)
    async with tls_gateway(upstream, tmp_path, limits) as gateway:
        with silent_connections(gateway.port, 1_000, "127.0.0.2") as silent:
            await until(lambda: sum(map(is_open, silent)) == 200)
            assert held(gateway) == 200
            assert gateway.app.server.refused == 800
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", gateway.port, ssl=trusting_context()
            )
            writer.write(GET)
            assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
            writer.close()
        await until(lambda: held(gateway) == 0)


async def test_handshakes_of_large_clients_give_way(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    limits = Limits(connections=160, connections_per_client=80)
    async with tls_gateway(upstream, tmp_path, limits) as gateway:
        with (
            silent_connections(gateway.port, 80, "127.0.0.2") as first,
            silent_connections(gateway.port, 80, "127.0.0.3") as second,
        ):
            await until(lambda: gateway.app.server.shed > 0)
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", gateway.port, ssl=trusting_context()
            )
            writer.write(GET)
            assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
            writer.close()
            closed = [each for each in (*first, *second) if not is_open(each)]
            assert len(closed) == gateway.app.server.shed
            assert gateway.app.server.refused == 0
        await until(lambda: held(gateway) == 0)
        assert not gateway.app.server._leaving  # noqa: SLF001 - what took no place


def client_hello() -> bytes:
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection = trusting_context().wrap_bio(received, sent)
    with contextlib.suppress(ssl.SSLWantReadError):
        connection.do_handshake()
    return sent.read()


async def is_answered(client: socket.socket, within: float) -> bool:
    loop = asyncio.get_running_loop()
    client.setblocking(False)  # noqa: FBT003 - the socket's signature
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within):
            return bool(await loop.sock_recv(client, 1))
    return False


async def test_of_one_client_a_few_handshakes_go_on_at_once(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    hello = client_hello()
    async with tls_gateway(upstream, tmp_path, Limits()) as gateway:
        with (
            silent_connections(gateway.port, 50, "127.0.0.2") as crowd,
            silent_connections(gateway.port, 1, "127.0.0.3") as [other],
        ):
            for each in crowd[:-1]:
                each.send(hello[:100])
            await asyncio.sleep(0.2)
            crowd[-1].send(hello)
            other.send(hello)
            assert await is_answered(other, 3)
            assert not await is_answered(crowd[-1], 0.3)
            for each in crowd[:-1]:
                each.close()
            assert await is_answered(crowd[-1], 3)
        await until(lambda: held(gateway) == 0)


async def test_a_handshake_ends_when_a_head_would_have_to(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    async with tls_gateway(upstream, tmp_path, Limits(), head=0.5) as gateway:
        with silent_connections(gateway.port, 50) as silent:
            await until(lambda: held(gateway) == 50)
            await until(lambda: held(gateway) == 0)
            await until(lambda: not any(map(is_open, silent)))


@pytest.mark.quiet
async def test_silent_handshakes_do_not_delay_the_end(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        async with tls_gateway(upstream, tmp_path, Limits()) as gateway:
            stack.enter_context(silent_connections(gateway.port, 5))
            await until(lambda: held(gateway) == 5)
            began_at = loop.time()
        assert loop.time() - began_at < 3


async def test_a_shed_connection_ends_soon_though_its_client_says_no_goodbye(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    """TLS waits for that; the places of those who open others are taken meanwhile."""
    async with tls_gateway(upstream, tmp_path, Limits()) as gateway:
        server = gateway.app.server
        with silent_connections(gateway.port, 1) as [client]:
            secure = await asyncio.to_thread(trusting_context().wrap_socket, client)
            with secure:
                await until(lambda: any(each.is_idle for each in server.connections))
                server.connection_limit = 1
                server.make_room()
                assert server.shed == 1
                await until(lambda: not server._leaving)  # noqa: SLF001 - who is still open


async def test_what_tls_holds_of_connections_counts_too(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    upstream.script = waiting_for(is_over := asyncio.Event())
    limits, timeouts = Limits(held=2 * 1_048_576), Timeouts(response_head=30.0)
    async with (
        tls_gateway(upstream, tmp_path, limits, timeouts=timeouts) as gateway,
        AsyncExitStack() as stack,
    ):
        clients = []
        for _ in range(20):
            _, client = await asyncio.open_connection(
                "127.0.0.1", gateway.port, ssl=trusting_context()
            )
            stack.callback(client.transport.abort)
            client.write(WAIT + b"GET /" + b"x" * 80_000)
            clients.append(client)
        server = gateway.app.server
        await until(lambda: sum(each.held > 65_536 for each in server.connections) > 19)
        assert server.held_bytes.cut == 0
        for each in clients:
            each.write(b"x" * 200_000)  # which nobody reads any more
        await until(lambda: gateway.metric("connections_cut_total"))
        is_over.set()


async def test_a_response_over_tls_that_is_not_taken_counts(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    async with tls_gateway(upstream, tmp_path, Limits()) as gateway:
        server = gateway.app.server
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            client.connect(("127.0.0.1", gateway.port))
            secure = await asyncio.to_thread(trusting_context().wrap_socket, client)
            with secure:
                await until(lambda: any(each.is_idle for each in server.connections))
                [connection] = server.connections
                transport = connection._transport  # noqa: SLF001 - nobody else has it
                sock = transport.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
                connection.write_whole(bytes(250_000))
                await until(lambda: 150_000 < connection.held < 350_000)


async def test_another_protocol_is_refused_at_its_first_byte(
    gateway: RunningGateway,
) -> None:
    async with raw_client(gateway.port) as client:
        await client.send(b"\x16\x03\x01\x02")
        assert (await client.answer(within=2)).status == 400


LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
os.execv(sys.executable, [sys.executable, *sys.argv[3:]])
"""


@asynccontextmanager
async def limited_gateway(
    upstream: RawUpstream, folder: Path, soft: int, hard: int
) -> AsyncIterator[int]:
    """Run a gateway that may have so many descriptors; yield its port."""
    async with gateway_process(
        folder, upstream.port, before=("-c", LIMITED, str(soft), str(hard))
    ) as gateway:
        yield gateway.port


async def test_a_crowd_beyond_the_descriptors_is_felt_by_nobody(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    async with limited_gateway(upstream, tmp_path, 256, 256) as port:
        with silent_connections(port, 300, "127.0.0.2"):
            for _ in range(20):
                assert (await ask(port, GET)).status == 200
        assert (
            "connections_limited_by_descriptors"
            in (tmp_path / "gateway.log").read_text()
        )


async def test_the_soft_limit_is_raised(upstream: RawUpstream, tmp_path: Path) -> None:
    async with limited_gateway(upstream, tmp_path, 64, 4_096) as port:
        with silent_connections(port, 200, "127.0.0.2") as silent:
            assert (await ask(port, GET)).status == 200
            assert all(map(is_open, silent))


async def test_the_soft_limit_of_the_workers_parent_is_raised(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    before = ("-c", LIMITED, "64", "4096")
    async with gateway_process(
        tmp_path, upstream.port, workers=2, before=before
    ) as gateway:
        pid = gateway.process.pid
        assert resource.prlimit(pid, resource.RLIMIT_NOFILE) == (4_096, 4_096)


@contextlib.contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Let this process open nothing more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Path("/dev/null").open() as lowest_free:
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free.fileno(), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_lack_of_descriptors_is_no_failure_of_the_replica(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    async with raw_client(gateway.port) as client:
        await until(lambda: held(gateway) == 1)
        with no_descriptor_left():
            for _ in range(5):
                await client.send(GET)
                answer = await client.answer()
                assert (answer.status, answer.json()["code"]) == (
                    503,
                    "too_many_connections",
                )
        assert gateway.metric("descriptors_exhausted_total") == 5
        [replica] = gateway.content.replicas
        assert replica.failures == 0
        await client.send(GET)
        assert (await client.answer()).status == 200
    assert len(upstream.requests) == 1


async def test_a_connection_waits_for_a_descriptor(gateway: RunningGateway) -> None:
    with socket.socket() as client:
        client.setblocking(False)  # noqa: FBT003 - the socket's signature
        loop = asyncio.get_running_loop()
        with no_descriptor_left():
            await loop.sock_connect(client, ("127.0.0.1", gateway.port))
            await until(lambda: gateway.app.server.descriptors.exhausted)
        await loop.sock_sendall(client, GET)
        received = await asyncio.wait_for(loop.sock_recv(client, 65_536), 3)
    assert received.startswith(b"HTTP/1.1 200")


async def test_nothing_is_accepted_after_an_end_without_descriptors(
    gateway: RunningGateway, caplog: pytest.LogCaptureFixture
) -> None:
    server = gateway.app.server
    listener = socket.create_server(("127.0.0.1", 0))
    acceptor = Acceptor(server, listener, lambda: None, server.descriptors)
    with socket.create_connection(listener.getsockname()), no_descriptor_left():
        await acceptor.close()
        await asyncio.sleep(0.1)
    assert server.descriptors.exhausted == 1
    assert [each for each in caplog.records if each.name == "asyncio"] == []


async def test_a_lack_of_descriptors_for_a_hedge_costs_the_first_attempt_nothing(
    tmp_path: Path,
) -> None:
    is_over = asyncio.Event()
    async with raw_upstream() as one, raw_upstream() as other:
        one.script = other.script = waiting_for(is_over)
        config = config_for(
            one.port,
            other.port,
            retries=RetryConfig(attempt_timeout=0.2),
            timeouts=Timeouts(response_head=5.0),
        )
        async with running_gateway(config, tmp_path) as gateway:
            client = await gateway.client(WAIT)
            await until(lambda: one.calls or other.calls)
            with no_descriptor_left():
                await until(lambda: gateway.app.server.descriptors.exhausted)
            is_over.set()
            assert (await client.answer()).status == 200
