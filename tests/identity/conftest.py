"""Fixtures of all of identity's tests."""

from collections.abc import AsyncIterator

import pytest
from tests.support.database import database_server, database_url, sqlite_template
from tests.support.identity import (
    IdentityClient,
    MovableClock,
    identity_settings,
    running_identity,
)

__all__ = ["database_server", "database_url", "sqlite_template"]


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
async def identity(
    database_url: str, clock: MovableClock
) -> AsyncIterator[IdentityClient]:
    async with running_identity(identity_settings(database_url), clock=clock) as client:
        yield client
