"""Connections to a replica belong to somebody at every moment."""

import asyncio
import errno

from tests.support.gateway import upstream_config
from tests.support.raw_upstream import Call, RawUpstream
from tests.support.waiting import until

from gateway_service.http1.deadlines import Deadlines
from gateway_service.http1.descriptors import Descriptors, is_exhaustion
from gateway_service.http1.write_batch import WriteBatch
from gateway_service.upstreams.connections.pool import ConnectionPool
from gateway_service.upstreams.endpoint import Endpoint


async def test_a_connection_that_comes_when_it_is_given_up_is_closed(
    upstream: RawUpstream,
) -> None:
    """Give it up in each of the turns of the loop that opening it takes."""

    upstream.script = Call.until_over
    loop = asyncio.get_running_loop()
    deadlines = Deadlines(loop)
    pool = ConnectionPool(
        Endpoint("127.0.0.1", upstream.port, upstream.port),
        upstream_config("content", upstream.port),
        deadlines,
        WriteBatch(loop),
        loop,
        descriptors=Descriptors(loop),
    )
    turns = 0
    while True:
        opening = asyncio.create_task(pool.connect(1.0))
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
    deadlines.close()


def test_an_address_that_no_way_leads_to_is_no_lack_of_ports() -> None:
    error = OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
    assert is_exhaustion(error, "127.0.0.1")
    assert not is_exhaustion(error, "fe80::1")  # which wants a zone
