"""Lines name the request they are about, and no other."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.gateway import config_for, running_gateway
from tests.support.raw_client import ask
from tests.support.raw_upstream import OK, Call, RawUpstream

from gateway_service.config.model import EjectionConfig
from gateway_service.upstreams.watching.watching import repeat
from service_kit.observability.request_id import request_id

POST = b"POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"


class Lines(logging.Handler):
    """Collects events with the request id each line would have."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: dict[str, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        self.ids[record.getMessage()] = request_id.get()


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler = Lines()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


async def test_a_connection_to_an_upstream_bears_no_id_of_its_first_request(
    upstream: RawUpstream, tmp_path: Path, lines: Lines
) -> None:
    """The second request on it fails, in a callback of the connection."""

    async def script(call: Call) -> None:
        await call.request()
        await call.send(OK)
        await call.request()
        call.reset()

    upstream.script = script
    config = config_for(
        upstream.port, 1, ejection=EjectionConfig(failures=1, share=1.0)
    )
    async with running_gateway(config, tmp_path) as gateway:
        ids = []
        while "replica_ejected" not in lines.ids:
            response = await ask(gateway.port, POST)
            ids.append(response.value("X-Request-Id"))
            if response.status == 200:
                lines.ids.pop("replica_ejected", None)
    assert lines.ids["replica_ejected"] in {"-", ids[-1]}


async def test_a_periodic_task_bears_no_id_of_who_was_served_when_it_began() -> None:
    ids: list[str] = []
    over = asyncio.Event()

    async def step() -> None:
        ids.append(request_id.get())
        over.set()

    token = request_id.set("somebody")
    task = asyncio.create_task(repeat(step, 0.01))
    request_id.reset(token)
    await over.wait()
    task.cancel()
    assert ids == ["-"]
