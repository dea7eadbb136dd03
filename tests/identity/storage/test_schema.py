import asyncio

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, select
from tests.support.database import connected

from identity_service.storage import schema
from identity_service.storage.database import create_engine
from identity_service.storage.tables import metadata, roles


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "version_table": schema.VERSION_TABLE}
    )
    return list(compare_metadata(context, metadata))


async def test_migrated_schema_is_the_schema_of_the_tables(database_url: str) -> None:
    async with connected(database_url) as engine, engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_the_three_roles_are_there_from_the_first_migration_on(
    database_url: str,
) -> None:
    async with connected(database_url) as engine, engine.connect() as connection:
        names = await connection.scalars(select(roles.c.name).order_by(roles.c.id))
        assert names.all() == ["user", "moderator", "admin"]


async def test_upgrading_again_changes_nothing(database_url: str) -> None:
    engine = create_engine(database_url, pool_size=4)
    versions = await asyncio.gather(*(schema.upgrade(engine) for _ in range(4)))
    await engine.dispose()

    known = await asyncio.to_thread(schema.known_versions)
    assert versions == [(known[-1], known[-1])] * 4
