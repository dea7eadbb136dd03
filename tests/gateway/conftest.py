"""An upstream and a gateway before it."""

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
    """Run on uvloop, as the product does: it writes and closes at other moments."""
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
