"""An upstream and a gateway before it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.gateway import RunningGateway, config_for, running_gateway
from tests.support.loops import pytest_asyncio_loop_factories
from tests.support.raw_upstream import RawUpstream, raw_upstream

__all__ = ["pytest_asyncio_loop_factories"]


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
