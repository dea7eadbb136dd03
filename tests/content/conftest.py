"""A small issuer, and a content service that trusts it."""

from collections.abc import AsyncIterator

import pytest
from tests.support.content import Content, content
from tests.support.issuer import Issuer
from tests.support.loops import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with Issuer() as running:
        yield running


@pytest.fixture
async def service(issuer: Issuer) -> AsyncIterator[Content]:
    async with content(issuer) as running:
        yield running
