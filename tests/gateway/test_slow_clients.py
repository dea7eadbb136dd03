"""A client that takes its time is held against no replica."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.support.gateway import RunningGateway, config_for, running_gateway
from tests.support.raw_client import raw_client
from tests.support.raw_upstream import OK, Call, RawUpstream
from tests.support.waiting import until

from gateway_service.config.model import Timeouts
from gateway_service.upstreams.replica import Replica

SIZE = 200_000
POST = b"POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % SIZE
GET = b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n"
HALF = b"x" * (SIZE // 2)


@asynccontextmanager
async def gateway_before(
    upstream: RawUpstream, folder: Path, total: float
) -> AsyncIterator[RunningGateway]:
    """Run a gateway that waits much less for a replica than for a client."""
    timeouts = Timeouts(response_head=0.3, idle=0.3, total=total)
    config = config_for(upstream.port, body_limit=SIZE, timeouts=timeouts)
    async with running_gateway(config, folder) as running:
        yield running


def only_replica(gateway: RunningGateway) -> Replica:
    [replica] = gateway.content.replicas
    return replica


async def test_an_upload_may_pause_for_longer_than_a_response_may_take(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    async with (
        gateway_before(upstream, tmp_path, total=10) as gateway,
        raw_client(gateway.port) as client,
    ):
        await client.send(POST + HALF, HALF, pause=1.0)
        assert (await client.answer()).status == 200
        assert only_replica(gateway).failures == 0


async def test_what_a_client_takes_for_a_body_is_not_taken_from_the_replica(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    async def script(call: Call) -> None:
        await call.request()
        await asyncio.sleep(0.3)
        await call.send(OK)

    upstream.script = script
    timeouts = Timeouts(response_head=5.0, total=0.8)
    config = config_for(upstream.port, timeouts=timeouts)
    async with (
        running_gateway(config, tmp_path) as gateway,
        raw_client(gateway.port) as client,
    ):
        began_at = time.time()
        await client.send(POST.replace(b"%d" % SIZE, b"2") + b"x", b"x", pause=1.0)
        assert (await client.answer()).status == 200
        assert only_replica(gateway).failures == 0
    [recorded] = upstream.requests
    [told] = recorded.values("X-Request-Start")
    assert int(told) / 1000 > began_at + 0.9


async def test_an_upload_that_takes_all_the_time_there_is_is_408(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    async with (
        gateway_before(upstream, tmp_path, total=0.8) as gateway,
        raw_client(gateway.port) as client,
    ):
        await client.send(POST + HALF)
        answer = await client.answer()
        assert (answer.status, answer.json()["code"]) == (408, "request_timeout")
        assert only_replica(gateway).failures == 0
        await until(lambda: upstream.calls[0].is_over)


async def test_a_replica_that_reads_nothing_is_held_to_have_failed(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    size = 20_000_000

    async def script(call: Call) -> None:
        await call.head()
        await asyncio.sleep(3)

    upstream.script = script
    timeouts = Timeouts(response_head=0.3, idle=0.3, total=10)
    config = config_for(upstream.port, body_limit=size, timeouts=timeouts)
    async with (
        running_gateway(config, tmp_path) as gateway,
        raw_client(gateway.port) as client,
    ):
        head = POST.replace(b"%d" % SIZE, b"%d" % size)
        sending = asyncio.create_task(client.send(head + bytes(size)))
        assert (await client.answer()).status == 504
        assert only_replica(gateway).failures == 1
        sending.cancel()


async def test_a_response_that_is_read_until_its_time_is_over_is_no_failure(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    size = 50_000_000
    upstream.answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(
        size
    )
    async with (
        gateway_before(upstream, tmp_path, total=0.8) as gateway,
        raw_client(gateway.port) as client,
    ):
        await client.send(GET)
        with suppress(ConnectionError):
            while await client.reader.read(65_536):  # noqa: ASYNC110 - a slow reader
                await asyncio.sleep(0.005)
        assert only_replica(gateway).requests == 1
        assert only_replica(gateway).in_flight == 0
        assert only_replica(gateway).failures == 0
