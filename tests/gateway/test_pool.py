"""Connections to a replica belong to somebody at every moment."""

import asyncio
import errno
from collections.abc import AsyncIterator, Iterator
from itertools import cycle, islice

import pytest
from tests.support.gateway import upstream_config
from tests.support.raw_upstream import Call, RawUpstream
from tests.support.standstill import stand_still
from tests.support.waiting import until

from gateway_service.config.model import Timeouts
from gateway_service.http1.deadlines import INTERVAL, NEVER, Deadlines
from gateway_service.http1.descriptors import Descriptors, is_exhaustion
from gateway_service.http1.parsing.responses import ResponseHead
from gateway_service.http1.write_batch import WriteBatch
from gateway_service.upstreams.connections.pool import ConnectionPool
from gateway_service.upstreams.connections.response import Result, UpstreamRequest
from gateway_service.upstreams.endpoint import Endpoint


class Handler:
    """Collects what it is told, which is nothing while a connection is opened."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    def on_result(self, result: Result) -> None:
        self.calls.append(result)

    def on_interim(self, head: ResponseHead) -> None:
        self.calls.append(head)

    def on_slow(self, *, is_gone: bool) -> None:
        self.calls.append(is_gone)


@pytest.fixture
def handler() -> Iterator[Handler]:
    handler = Handler()
    yield handler
    assert not handler.calls


def request_within(seconds: float) -> UpstreamRequest:
    """Return a request that waits for its connection for so long."""
    return UpstreamRequest(
        b"",
        "GET",
        Timeouts(connect=seconds),
        NEVER,
        NEVER,
        is_timed=True,
        is_repeatable=True,
        may_be_hedged=False,
        proxied_client="",
        is_upgrade=False,
        is_whole=True,
    )


@pytest.fixture
async def pool(upstream: RawUpstream) -> AsyncIterator[ConnectionPool]:
    upstream.script = Call.until_over
    loop = asyncio.get_running_loop()
    deadlines = Deadlines(loop)
    yield ConnectionPool(
        Endpoint("127.0.0.1", upstream.port, upstream.port),
        upstream_config("content", upstream.port),
        deadlines,
        WriteBatch(loop),
        loop,
        descriptors=Descriptors(loop),
    )
    deadlines.close()


async def test_a_connection_that_comes_when_it_is_given_up_is_closed(
    upstream: RawUpstream, pool: ConnectionPool, handler: Handler
) -> None:
    """Give it up in each of the turns of the loop that opening it takes."""
    turns = 0
    while True:
        opening = asyncio.create_task(pool.connect(request_within(1.0), handler))
        for _ in range(turns):
            await asyncio.sleep(0)
        if not opening.cancel():
            break
        await asyncio.gather(opening, return_exceptions=True)
        assert opening.cancelled()
        turns += 1
    (await opening).close()
    assert turns > 1
    await until(lambda: all(call.is_over for call in upstream.calls))


@pytest.mark.parametrize("begins_in", range(8))
async def test_a_connection_that_is_open_is_not_given_up(
    begins_in: int, pool: ConnectionPool, handler: Handler
) -> None:
    """Each turn of the loop takes longer than opening it may."""
    turns = cycle((INTERVAL, 0.02, 0.02, 0.02))
    for seconds in islice(turns, begins_in):
        stand_still(seconds)
        await asyncio.sleep(0)
    opening = asyncio.create_task(pool.connect(request_within(0.01), handler))
    for seconds in islice(turns, 8):
        stand_still(seconds)
        await asyncio.sleep(0)
    (await opening).close()


def test_an_address_that_no_way_leads_to_is_no_lack_of_ports() -> None:
    error = OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
    assert is_exhaustion(error, "127.0.0.1")
    assert not is_exhaustion(error, "fe80::1")  # which wants a zone
