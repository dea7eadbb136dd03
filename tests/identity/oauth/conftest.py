import hashlib
from collections.abc import AsyncIterator
from typing import Final

import pytest
from tests.support.identity import (
    IdentityClient,
    MovableClock,
    identity_settings,
    running_identity,
)

SECRET: Final = "a secret: with + and % and ü"


@pytest.fixture
async def identity(
    database_url: str, clock: MovableClock
) -> AsyncIterator[IdentityClient]:
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    settings = identity_settings(
        database_url,
        IDENTITY_INTROSPECTION_CLIENTS=f"resource-server:{digest},other:{'0' * 64}",
    )
    async with running_identity(settings, clock=clock) as client:
        yield client
