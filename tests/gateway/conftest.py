"""An upstream and a gateway before it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest
import uvloop
from tests.support.gateway import RunningGateway, config_for, running_gateway
from tests.support.raw_upstream import RawUpstream, raw_upstream


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run what is about single turns on uvloop, which writes and closes at others."""
    if item.path.name == "test_turns.py":
        return {"uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}


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
