import hashlib
from typing import Final

import pytest
from tests.support.identity import identity_settings

from identity_service.settings import Settings

SECRET: Final = "a secret: with + and % and ü"


@pytest.fixture
def settings(database_url: str) -> Settings:
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    return identity_settings(
        database_url,
        IDENTITY_INTROSPECTION_CLIENTS=f"resource-server:{digest},other:{'0' * 64}",
    )
