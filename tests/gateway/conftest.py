"""An upstream and a gateway before it, on the event loop that the product runs on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest
import uvloop
from tests.support.gateway import RunningGateway, config_for, running_gateway
from tests.support.raw_upstream import RawUpstream, raw_upstream


def pytest_asyncio_loop_factories() -> Mapping[
    str, Callable[[], asyncio.AbstractEventLoop]
]:
    """uvloop writes, closes and fails at other moments than asyncio's own loop."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def upstream() -> AsyncIterator[RawUpstream]:
    async with raw_upstream() as running:
        yield running


@pytest.fixture
async def gateway(
    upstream: RawUpstream, tmp_path: Path
) -> AsyncIterator[RunningGateway]:
    async with running_gateway(config_for(upstream.port), tmp_path) as running:
        yield running
