from datetime import timedelta

import pytest
from sqlalchemy import func, select
from tests.support.database import connected
from tests.support.identity import (
    IdentityClient,
    MovableClock,
    identity_settings,
)

from identity_service.composition import Services
from identity_service.domain.mail import MailRequestKind
from identity_service.domain.sessions.sessions import Device
from identity_service.storage import tables


async def count(url: str) -> tuple[int, int]:
    async with connected(url) as engine, engine.connect() as connection:
        sessions, revoked = [
            await connection.scalar(select(func.count()).select_from(table))
            for table in (tables.sessions, tables.revoked_entries)
        ]
        return int(sessions or 0), int(revoked or 0)


async def test_what_is_long_over_is_forgotten_and_nothing_else(
    identity: IdentityClient, database_url: str, clock: MovableClock
) -> None:
    pair = await identity.signed_in("alice")
    await identity.sign_out(pair["refreshToken"])
    async with Services(identity_settings(database_url), clock=clock) as composed:
        await composed.housekeeping.once()
        at_once = await count(database_url)
        clock.advance(timedelta(days=91))
        await composed.housekeeping.once()
        after_its_end = await count(database_url)
        clock.advance(timedelta(days=7))
        done = await composed.housekeeping.once()
        a_week_later = await count(database_url)

    assert at_once == (1, 1)
    assert after_its_end == (1, 0)
    assert a_week_later == (0, 0)
    assert done["sessions"] == 1


@pytest.mark.usefixtures("identity")
async def test_mail_that_nobody_sends_is_not_wanted_for_ever(
    database_url: str, clock: MovableClock
) -> None:
    settings = identity_settings(
        database_url, IDENTITY_MAIL_URL="smtp-plain://127.0.0.1:9"
    )
    async with Services(settings, clock=clock) as composed:
        requests = composed.accounts.mail_requests
        kind = MailRequestKind.PASSWORD_RESET
        await requests.ask(kind, "alice@example.test", Device("", "192.0.2.7"))
        done = []
        for wait in (timedelta(), timedelta(hours=23), timedelta(hours=2)):
            clock.advance(wait)
            done.append((await composed.housekeeping.once())["mail_requests"])

    assert done == [0, 0, 1]
