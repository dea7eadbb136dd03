"""What is tried again, and what never is (G14), and whose answer is whose (G15)."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.gateway import RunningGateway, config_for, running_gateway
from tests.support.raw_client import ask, raw_client
from tests.support.raw_upstream import OK, Call, RawUpstream, Script, once, raw_upstream

from gateway_service.config.model import EjectionConfig, RetryConfig, Timeouts
from gateway_service.config.values import Balance

GET = b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
EMPTY_POST = b"POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
PUT = POST.replace(b"POST", b"PUT")
DELETE = GET.replace(b"GET", b"DELETE")
FAILURE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 3\r\n\r\nbad"


async def reset(call: Call) -> None:
    await call.request()
    call.reset()


async def garbage(call: Call) -> None:
    await call.request()
    await call.send(b"garbage\r\n\r\n")


FAULTS: dict[str, Script] = {
    "closes": once(),
    "resets": reset,
    "garbage": garbage,
    "503": once(FAILURE),
    "500": once(FAILURE.replace(b"503", b"500")),
    "hangs": once(ends=False),
    "half a head": once(b"HTTP/1.1 200 OK\r\n"),
}


@dataclass
class Pair:
    gateway: RunningGateway
    bad: RawUpstream
    good: RawUpstream

    @property
    def delivered(self) -> int:
        return len(self.bad.requests) + len(self.good.requests)


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    """A gateway with two replicas, asked in turn, the bad one first."""
    async with raw_upstream() as bad, raw_upstream() as good:
        config = config_for(
            good.port,
            bad.port,
            balance=Balance.ROUND_ROBIN,
            ejection=EjectionConfig(failures=1_000),
            retries=RetryConfig(attempt_timeout=0.2),
        )
        async with running_gateway(config, tmp_path) as gateway:
            yield Pair(gateway, bad, good)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_g14_a_get_is_tried_on_another_replica(fault: Script, pair: Pair) -> None:
    pair.bad.script = fault
    for _ in range(4):
        answer = await ask(pair.gateway.port, GET)
        assert (answer.status, answer.body) == (200, b"ok")
    assert pair.bad.requests
    assert len(pair.good.requests) == 4


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
@pytest.mark.parametrize(
    "request_", [POST, EMPTY_POST, PUT], ids=["post", "empty post", "put with body"]
)
async def test_g14_what_may_have_worked_is_delivered_once(
    request_: bytes, fault: Script, pair: Pair
) -> None:
    pair.bad.script = fault
    answers = [await ask(pair.gateway.port, request_) for _ in range(4)]
    assert pair.delivered == 4
    assert sum(answer.status == 200 for answer in answers) == 2
    assert pair.bad.requests


async def test_g14_a_post_that_could_not_be_sent_goes_to_another_replica(
    pair: Pair,
) -> None:
    await pair.bad.stop()
    for _ in range(4):
        assert (await ask(pair.gateway.port, POST)).status == 200
    assert pair.delivered == 4
    assert all(request.body == b"hello" for request in pair.good.requests)


@contextmanager
def closing_what_it_accepts() -> Iterator[int]:
    """Accept and close, as Docker's proxy does for a container that is down."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    listener.accept()[0].close()

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)


async def test_a_replica_that_closes_what_it_accepts_is_left_at_once(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    with closing_what_it_accepts() as port:
        config = config_for(
            port,
            upstream.port,
            balance=Balance.ROUND_ROBIN,
            ejection=EjectionConfig(failures=1_000, first=0.05, longest=0.05),
        )
        async with running_gateway(config, tmp_path) as gateway:
            bad, _ = gateway.content.replicas
            for _ in range(20):
                assert (await ask(gateway.port, GET)).status == 200
                bad.ejected_until = 0.01
                await asyncio.sleep(0.02)
            assert gateway.metric("hedges_total", upstream="content") == 0
            assert bad.requests > 1
            assert bad.pool.connections == 0


async def test_nobody_is_asked_once_the_whole_time_is_over(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        replicas = [await stack.enter_async_context(raw_upstream()) for _ in range(3)]
        for replica in replicas:
            replica.script = once(ends=False)
        config = config_for(
            *(replica.port for replica in replicas),
            timeouts=Timeouts(response_head=0.5, total=0.3),
        )
        gateway = await stack.enter_async_context(running_gateway(config, tmp_path))
        assert (await ask(gateway.port, DELETE)).status == 504
        content = gateway.content
        assert sum(len(replica.requests) for replica in replicas) == 1
        assert sum(each.failures for each in content.replicas) == 1


async def test_g14_retries_end_with_the_budget(tmp_path: Path) -> None:
    async with raw_upstream() as one, raw_upstream() as other:
        one.script = other.script = once(FAILURE)
        config = config_for(
            one.port,
            other.port,
            ejection=EjectionConfig(failures=1_000),
            retries=RetryConfig(share=0.0, per_second=0.2),
        )
        async with running_gateway(config, tmp_path) as gateway:
            for _ in range(20):
                assert (await ask(gateway.port, GET)).status == 503
        delivered = len(one.requests) + len(other.requests)
    assert 20 < delivered <= 23


@pytest.mark.parametrize(
    ("line", "failures"), [(b"Retry-After: 1\r\n", 0), (b"", 4)], ids=["sheds", "fails"]
)
async def test_a_replica_that_sheds_load_has_not_failed(
    line: bytes, failures: int, pair: Pair
) -> None:
    answer = FAILURE.replace(b"Content", line + b"Content")
    pair.bad.script = pair.good.script = once(answer)
    for _ in range(8):
        assert (await ask(pair.gateway.port, POST)).status == 503
    replicas = pair.gateway.content.replicas
    assert [each.failures for each in replicas] == [failures] * 2


async def test_g14_attempts_end_when_every_replica_has_failed(pair: Pair) -> None:
    pair.bad.script = pair.good.script = once(FAILURE)
    answer = await ask(pair.gateway.port, GET)
    assert (answer.status, answer.body) == (503, b"bad")
    assert pair.delivered == 2


@pytest.mark.parametrize("at_once", [1, 10])
async def test_g14_a_connection_closed_while_idle_costs_no_get(
    at_once: int, upstream: RawUpstream, gateway: RunningGateway
) -> None:
    async def script(call: Call) -> None:
        await call.request()
        await asyncio.sleep(0.05)
        await call.send(OK)
        await call.request()  # the second one meets a closed connection
        call.reset()

    upstream.script = script
    for count in (at_once, *(1,) * 6):
        answers = await asyncio.gather(*(ask(gateway.port, GET) for _ in range(count)))
        assert {answer.status for answer in answers} == {200}


async def test_a_slow_replica_is_waited_for_when_there_is_no_other(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    config = config_for(upstream.port, retries=RetryConfig(attempt_timeout=0.1))

    async def script(call: Call) -> None:
        await call.request()
        await asyncio.sleep(0.35)
        await call.send(OK)

    upstream.script = script
    async with running_gateway(config, tmp_path) as gateway:
        assert (await ask(gateway.port, GET)).status == 200
    assert len(upstream.requests) == 1


@pytest.mark.quiet
async def test_a_full_upstream_is_503_at_once(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    config = config_for(upstream.port, max_in_flight=1)
    upstream.script = once(ends=False)
    async with (
        running_gateway(config, tmp_path) as gateway,
        raw_client(gateway.port) as client,
    ):
        await client.send(POST)
        await asyncio.sleep(0.1)
        answer = await ask(gateway.port, POST, within=0.3)
        assert (answer.status, answer.value("Retry-After")) == (503, "1")
        assert (await client.answer()).status == 504
        upstream.script = once(OK)
        assert (await ask(gateway.port, POST)).status == 200


async def test_g15_answers_of_two_users_are_never_mixed(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    async def script(call: Call) -> None:
        while (request := await call.request()) is not None:
            user = (request.value("Authorization") or "").encode()
            size = len(user) * 3_000  # some in one piece, some streamed
            await call.send(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size, user * 3_000
            )

    upstream.script = script

    async def user(gateway: RunningGateway, number: int) -> None:
        name = f"Bearer {number}"
        request = GET.replace(
            b"\r\n\r\n", f"\r\nAuthorization: {name}\r\n\r\n".encode()
        )
        async with raw_client(gateway.port) as client:
            for _ in range(25):
                await client.send(request)
                answer = await client.answer(within=60)
                assert answer.body == name.encode() * 3_000

    config = config_for(upstream.port, timeouts=Timeouts(response_head=30.0))
    async with running_gateway(config, tmp_path) as gateway:
        await asyncio.gather(*(user(gateway, number) for number in range(12)))
