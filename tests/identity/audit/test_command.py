from argparse import Namespace

from sqlalchemy import update
from tests.support.database import connected
from tests.support.identity import give_signing_keys, identity_settings

from identity_service import commands
from identity_service.storage.tables import audit_events


async def test_verify_audit_names_the_first_broken_link(database_url: str) -> None:
    settings, said = identity_settings(database_url), list[str]()
    await give_signing_keys(settings)

    assert await commands.verify_audit(settings, Namespace(), said.append) == 0
    assert said[-1].startswith("2 events, unbroken")

    async with connected(database_url) as engine, engine.begin() as connection:
        await connection.execute(
            update(audit_events).where(audit_events.c.id == 2).values(details="{}")
        )
    assert await commands.verify_audit(settings, Namespace(), said.append) == 1
    assert said[-1] == "broken at event 2"
