"""Fixtures of all of identity's tests."""

from collections.abc import AsyncIterator, Iterator

import pytest
from tests.identity.lock_order import watched_transactions
from tests.support.database import database_server, database_url, sqlite_template
from tests.support.identity import (
    IdentityClient,
    MovableClock,
    create_admin,
    identity_settings,
    running_identity,
)

from identity_service.settings import Settings

__all__ = ["database_server", "database_url", "sqlite_template"]


@pytest.fixture(autouse=True)
def audit_log_is_locked_last() -> Iterator[None]:
    """Of all that a transaction locks, as `Database` says."""
    with watched_transactions() as faults:
        yield
    assert not faults


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def settings(database_url: str) -> Settings:
    """Of `identity`; tests of others override this fixture."""
    return identity_settings(database_url)


@pytest.fixture
async def identity(
    settings: Settings, clock: MovableClock
) -> AsyncIterator[IdentityClient]:
    async with running_identity(settings, clock=clock) as client:
        yield client


@pytest.fixture
async def admin(identity: IdentityClient, database_url: str) -> str:
    """The access token of an administrator."""
    await create_admin(database_url)
    return str((await identity.sign_in("boss")).json["accessToken"])
