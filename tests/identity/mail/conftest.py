from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.identity import (
    identity_settings,
)
from tests.support.mail_server import MailServer, running_mail_server

from identity_service.settings import Settings


@pytest.fixture
async def mail_server(tmp_path: Path) -> AsyncIterator[MailServer]:
    async with running_mail_server(tmp_path) as server:
        yield server


@pytest.fixture
def settings(database_url: str, mail_server: MailServer) -> Settings:
    return identity_settings(database_url, IDENTITY_MAIL_URL=mail_server.url)
