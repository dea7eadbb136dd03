"""Commands on the database's schema, for which its URL alone is needed."""

from argparse import Namespace

from identity_service.arguments import Write
from identity_service.settings import DatabaseSettings
from identity_service.storage.engines import opened_engine
from identity_service.storage.upgrades import schema


async def migrate(settings: DatabaseSettings, _: Namespace, write: Write) -> int:
    """Bring the database to the schema that this version needs."""
    from identity_service.storage.upgrades.upgrading import upgrade  # noqa: PLC0415 - with Alembic

    async with opened_engine(settings.database_url, pool_size=1) as engine:
        before, after = await upgrade(engine)
    write(
        f"schema {after}: "
        + ("as it was" if before == after else f"was {before or 'none'}")
    )
    return 0


async def describe_schema(
    settings: DatabaseSettings, _: Namespace, write: Write
) -> int:
    """Say what is there, needed and pending; 1 if there is something to migrate."""
    async with opened_engine(settings.database_url, pool_size=1) as engine:
        present = await schema.present_version(engine)
    write(f"present: {present or 'none'}")
    write(f"needed: {schema.NEEDED}")
    pending = schema.pending(present)
    write(f"pending: {', '.join(pending) or 'nothing'}")
    if not pending and present != schema.NEEDED:
        write("a later version has migrated it; this one can serve with it")
    return 1 if pending else 0
