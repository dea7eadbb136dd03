"""A slow response is no failure: another replica is asked as well."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from tests.support.gateway import RunningGateway, config_for, running_gateway
from tests.support.raw_client import ask, raw_client
from tests.support.raw_upstream import Call, RawUpstream, Script, once, raw_upstream
from tests.support.waiting import until

from gateway_service.config.model import RetryConfig, Timeouts
from gateway_service.config.values import Balance
from gateway_service.upstreams.replica import ReplicaHealth
from gateway_service.upstreams.upstream import Upstream

GET = b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n"
DELETE = GET.replace(b"GET", b"DELETE")
POST = b"POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
LONG_POLL = GET.replace(b"\r\n\r\n", b"\r\nPrefer: wait=30\r\n\r\n")
STREAM = GET.replace(b"\r\n\r\n", b"\r\nAccept: text/event-stream\r\n\r\n")
SLOW = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow"
HEDGE_AFTER = 0.2


def after(seconds: float, response: bytes = SLOW) -> Script:
    """Return a script that takes its time for each response."""

    async def script(call: Call) -> None:
        while await call.request() is not None:
            await asyncio.sleep(seconds)
            await call.send(response)

    return script


class Scene:
    """A gateway before two replicas, which are asked in turn, the slow one first."""

    def __init__(
        self, gateway: RunningGateway, slow: RawUpstream, fast: RawUpstream
    ) -> None:
        self.gateway = gateway
        self.slow = slow
        self.fast = fast

    @property
    def upstream(self) -> Upstream:
        return self.gateway.content

    @property
    def delivered(self) -> tuple[int, int]:
        return len(self.slow.requests), len(self.fast.requests)

    async def idle(self) -> None:
        await until(lambda: self.upstream.in_flight == 0)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with raw_upstream() as slow, raw_upstream() as fast:
        config = config_for(
            fast.port,
            slow.port,
            balance=Balance.ROUND_ROBIN,
            retries=RetryConfig(attempt_timeout=HEDGE_AFTER),
            timeouts=Timeouts(response_head=2.0),
        )
        slow.script = after(0.8)
        async with running_gateway(config, tmp_path) as gateway:
            yield Scene(gateway, slow, fast)


@pytest.mark.quiet
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_another_replica_is_asked_as_well_and_the_first_response_wins(
    method: str, scene: Scene
) -> None:
    scene.slow.script = once(ends=False)
    scene.fast.answer = b"HTTP/1.1 204 No Content\r\n\r\n"
    request = GET.replace(b"GET", method.encode())
    started_at = time.monotonic()

    answer = await ask(scene.gateway.port, request, method)

    assert answer.status == 204
    assert time.monotonic() - started_at < 0.7
    assert scene.delivered == (1, 1)
    assert (scene.upstream.hedges, scene.upstream.hedges_won) == (1, 1)
    await scene.idle()
    assert [r.failures for r in scene.upstream.replicas] == [0, 0]
    await until(lambda: scene.slow.calls[0].is_over)  # the loser is cancelled


@pytest.mark.quiet
async def test_the_first_attempt_stays_and_may_win(scene: Scene) -> None:
    scene.slow.script = after(0.5)
    scene.fast.script = after(2.0)
    started_at = time.monotonic()

    answer = await ask(scene.gateway.port, GET)

    assert answer.body == b"slow"
    assert 0.4 < time.monotonic() - started_at < 1.5
    assert scene.delivered == (1, 1)
    assert (scene.upstream.hedges, scene.upstream.hedges_won) == (1, 0)
    await scene.idle()
    assert not any(r.ejected_until or r.failures for r in scene.upstream.replicas)


async def test_the_first_attempt_may_win_when_the_second_fails(
    scene: Scene,
) -> None:
    scene.slow.script = after(0.5)
    scene.fast.script = once()

    assert (await ask(scene.gateway.port, GET)).body == b"slow"
    assert scene.delivered == (1, 1)
    await until(scene.gateway.access_log.read_text)
    line = json.loads(scene.gateway.access_log.read_text())
    assert line["replica"] == f"127.0.0.1:{scene.slow.port}"


async def test_the_second_attempt_may_win_after_the_first_failed(
    scene: Scene,
) -> None:
    async def script(call: Call) -> None:
        await call.request()
        await asyncio.sleep(0.35)
        call.reset()

    scene.slow.script = script
    scene.fast.script = after(0.4)

    assert (await ask(scene.gateway.port, GET)).body == b"slow"
    assert scene.delivered == (1, 1)


async def test_the_response_of_a_hedge_may_be_streamed(scene: Scene) -> None:
    size = 400_000
    scene.fast.answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (
        size,
        b"x" * size,
    )
    assert (await ask(scene.gateway.port, GET)).body == b"x" * size
    assert scene.delivered == (1, 1)
    await scene.idle()


@pytest.mark.parametrize(
    "request_",
    [POST, DELETE, LONG_POLL, STREAM],
    ids=["post", "delete", "long poll", "stream"],
)
async def test_what_is_not_safe_or_waits_by_design_is_asked_once(
    request_: bytes, scene: Scene
) -> None:
    assert (await ask(scene.gateway.port, request_)).body == b"slow"
    assert scene.delivered == (1, 0)
    assert scene.upstream.hedges == 0
    assert all(r.speed.responses == 0 for r in scene.upstream.replicas)


async def test_long_polling_outlasts_the_routes_timeout(scene: Scene) -> None:
    scene.slow.script = after(2.6)

    answer = await ask(scene.gateway.port, LONG_POLL, within=8)

    assert answer.body == b"slow"
    assert scene.slow.requests[0].value("Prefer") == "wait=30"


async def test_hedges_are_paid_from_the_retry_budget(tmp_path: Path) -> None:
    async with raw_upstream() as one, raw_upstream() as other:
        one.script = other.script = after(0.5)
        config = config_for(
            one.port,
            other.port,
            retries=RetryConfig(attempt_timeout=HEDGE_AFTER, share=0.0, per_second=0.2),
            timeouts=Timeouts(response_head=5.0),
        )
        async with running_gateway(config, tmp_path) as gateway:
            answers = await asyncio.gather(*(ask(gateway.port, GET) for _ in range(12)))
        delivered = len(one.requests) + len(other.requests)
    assert [answer.status for answer in answers] == [200] * 12
    assert delivered == 14, "the budget holds 10 s at 0.2 a second"


async def test_probes_end_no_request_that_may_have_been_acted_on(
    scene: Scene,
) -> None:
    async with raw_client(scene.gateway.port) as client:
        await client.send(POST)
        await until(lambda: scene.slow.requests)
        for replica in scene.upstream.replicas:
            scene.upstream.report(replica, ReplicaHealth.READY)
            scene.upstream.report(replica, ReplicaHealth.SILENT)
            scene.upstream.report(replica, ReplicaHealth.UNREACHABLE)
        answer = await client.answer()
    assert (answer.status, answer.body) == (200, b"slow")
    assert scene.delivered == (1, 0)


async def test_what_may_be_repeated_moves_on_at_once(scene: Scene) -> None:
    async with raw_client(scene.gateway.port) as client:
        await client.send(DELETE)
        await until(lambda: scene.slow.requests)
        at = scene.slow.port
        [slow] = [r for r in scene.upstream.replicas if r.endpoint.port == at]
        scene.upstream.report(slow, ReplicaHealth.SILENT)
        answer = await client.answer()
    assert (answer.status, answer.body) == (200, b"ok")
    assert scene.delivered == (1, 1)


async def test_a_client_that_leaves_ends_both_attempts(scene: Scene) -> None:
    scene.fast.script = scene.slow.script = after(1.5)
    async with raw_client(scene.gateway.port) as client:
        await client.send(GET)
        await until(lambda: scene.delivered == (1, 1))
    await scene.idle()
    assert all(r.in_flight == 0 for r in scene.upstream.replicas)


async def test_the_only_replica_serves_while_its_probes_are_slow(
    upstream: RawUpstream, gateway: RunningGateway
) -> None:
    content = gateway.content
    [only] = content.replicas
    for _ in range(3):
        content.report(only, ReplicaHealth.READY)
        assert (await ask(gateway.port, POST)).status == 200
        content.report(only, ReplicaHealth.SILENT)
        assert (await ask(gateway.port, POST)).status == 200
    assert len(upstream.requests) == 6


@pytest.mark.parametrize("failure", ["slow", "reset"])
async def test_a_request_is_not_sent_again_where_others_would_be_refused(
    failure: str, tmp_path: Path
) -> None:
    """The last places are kept for urgent routes; the first attempt goes on."""

    async def script(call: Call) -> None:
        request = await call.request()
        if request is not None and request.target == "/api/x":
            await asyncio.sleep(HEDGE_AFTER * 2)
            if failure == "reset":
                call.reset()
            await call.send(SLOW)
        await call.until_over()

    async with raw_upstream() as one, raw_upstream() as other:
        one.script = other.script = script
        config = config_for(
            one.port,
            other.port,
            max_in_flight=10,
            retries=RetryConfig(attempt_timeout=HEDGE_AFTER),
            timeouts=Timeouts(response_head=5.0),
        )
        async with running_gateway(config, tmp_path) as gateway:
            content = gateway.content
            await gateway.clients(8, POST.replace(b"/x", b"/y"))
            await until(lambda: content.in_flight == 8)

            answer = await ask(gateway.port, GET)

            assert answer.status == (200 if failure == "slow" else 502)
            assert (content.hedges, content.retries) == (0, 0)


@contextmanager
def nobody_accepts() -> Iterator[int]:
    """Yield a port whose queue is full, so that connecting to it takes for ever."""
    with socket.socket() as listener, ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)  # noqa: FBT003 - the socket's signature
            with suppress(BlockingIOError):
                one.connect(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.mark.quiet
async def test_what_is_relayed_is_asked_of_no_other_replica(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    """The second replica is still being connected to when the first one responds."""
    hedge_after = 0.5  # the first one responds sooner than after twice that
    async with raw_upstream() as third:
        with nobody_accepts() as second:
            config = config_for(
                second,
                upstream.port,
                third.port,
                balance=Balance.ROUND_ROBIN,
                retries=RetryConfig(attempt_timeout=hedge_after),
                timeouts=Timeouts(connect=2.0),
            )
            async with running_gateway(config, tmp_path) as gateway:
                content = gateway.content

                async def script(call: Call) -> None:
                    await call.request()
                    await until(lambda: content.hedges)
                    await call.send(SLOW[:-1])
                    await asyncio.sleep(2 * hedge_after)
                    await call.send(SLOW[-1:])

                upstream.script = script
                assert (await ask(gateway.port, GET)).body == b"slow"
                assert content.hedges == 1
        assert not third.requests


async def test_connections_end_with_the_whole_time(tmp_path: Path) -> None:
    with nobody_accepts() as first, nobody_accepts() as second:
        timeouts = Timeouts(connect=5.0, total=0.3)
        config = config_for(first, second, timeouts=timeouts)
        async with running_gateway(config, tmp_path) as gateway:
            assert (await ask(gateway.port, POST, within=2)).status == 504


async def test_a_connection_that_takes_its_time_is_no_failure_but_hedged(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    with nobody_accepts() as port:
        config = config_for(
            upstream.port,
            port,
            balance=Balance.ROUND_ROBIN,
            retries=RetryConfig(attempt_timeout=HEDGE_AFTER),
            timeouts=Timeouts(connect=0.5),
        )
        async with running_gateway(config, tmp_path) as gateway:
            state = gateway.content
            slow = state.replicas[1]
            for _ in range(2):
                assert (await ask(gateway.port, GET)).status == 200
            assert (state.hedges, state.hedges_won) == (1, 1)
            assert slow.failures == 0
            for failures in (1, 2, 3):
                for _ in range(2):
                    assert (await ask(gateway.port, POST)).status == 200
                assert slow.failures == failures
            assert slow.ejected_until


async def test_replica_is_not_blamed_for_the_time_that_another_took(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    upstream.script = after(0.3, b"HTTP/1.1 500 Bad\r\nContent-Length: 0\r\n\r\n")
    with nobody_accepts() as second:
        config = config_for(
            second,
            upstream.port,
            balance=Balance.ROUND_ROBIN,
            timeouts=Timeouts(connect=5.0, total=0.6),
        )
        async with running_gateway(config, tmp_path) as gateway:
            assert (await ask(gateway.port, DELETE, within=2)).status == 504
            assert [each.failures for each in gateway.content.replicas] == [0, 1]
