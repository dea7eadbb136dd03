"""What tests of tokens share."""

from collections.abc import AsyncIterator

import pytest
from tests.support.issuer import Issuer
from tests.support.tokens import private_key


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    private_key("second")  # making one takes longer than a verifier waits
    async with Issuer() as running:
        yield running
