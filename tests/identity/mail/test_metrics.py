"""Each metric of mail moves when that happens which it is there to show."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from tests.support.identity import (
    MovableClock,
    identity_settings,
    registry_of,
)
from tests.support.mail_server import MailServer, running_mail_server

from identity_service.composition import Services
from identity_service.domain.mail import Letter, MailKind, MailServerUnavailableError
from identity_service.settings import Settings
from identity_service.usecases.mail.sending import MailSender

GOOD = "alice@example.test"
REFUSED = "nobody@example.test"


@dataclass
class Replica:
    """A process that has just started, which counts what is in the outbox at once."""

    services: Services
    sender: MailSender
    registry: CollectorRegistry

    async def post(self, to: str) -> None:
        outbox = self.services.outbox
        letter = Letter(
            kind=MailKind.PASSWORD_CHANGED,
            to=to,
            language="en",
            values={"username": "alice"},
        )
        await self.services.database.write(lambda unit: outbox.post(unit, letter))

    def value(self, name: str) -> float:
        found = self.registry.get_sample_value(f"identity_mail_{name}")
        assert found is not None, name
        return found


@contextlib.asynccontextmanager
async def replica(settings: Settings, clock: MovableClock) -> AsyncIterator[Replica]:
    async with Services(settings, clock=clock) as services:
        assert services.accounts.mail_sender is not None
        yield Replica(services, services.accounts.mail_sender, registry_of(services))


async def test_mail_that_was_sent_and_mail_that_was_given_up_are_counted(
    settings: Settings, clock: MovableClock, mail_server: MailServer
) -> None:
    mail_server.refusals[REFUSED] = ["550 nobody of that name"]
    async with replica(settings, clock) as one:
        for to in (GOOD, REFUSED):
            await one.post(to)
        while await one.sender.once():
            pass
        assert one.value("sent_total") == 1
        assert one.value("failed_attempts_total") == 1

    async with replica(settings, clock) as other:
        await other.sender.once()
        assert (other.value("waiting"), other.value("dead")) == (0, 1)


async def test_a_mail_server_that_is_away_shows(
    database_url: str, clock: MovableClock, tmp_path: Path
) -> None:
    async with running_mail_server(tmp_path) as gone:
        settings = identity_settings(database_url, IDENTITY_MAIL_URL=gone.url)
    async with replica(settings, clock) as alone:
        await alone.post(GOOD)
        for _ in range(2):
            with pytest.raises(MailServerUnavailableError):
                await alone.sender.once()
        assert alone.value("waiting") == 1
        assert alone.value("failed_attempts_total") == 2
        assert alone.value("sent_total") == 0
