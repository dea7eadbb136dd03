import asyncio
import contextlib
from pathlib import Path
from typing import Final

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event, select, text
from tests.support.database import (
    SERVERS,
    connected,
    empty_database,
    migrate,
    server_url,
)

from identity_service.storage.engines import create_engine, opened_engine
from identity_service.storage.tables import audit_head, metadata, roles
from identity_service.storage.upgrades import schema
from identity_service.storage.upgrades.resumable_ddl import ForeignTableError
from identity_service.storage.upgrades.upgrading import upgrade


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "version_table": schema.VERSION_TABLE}
    )
    return list(compare_metadata(context, metadata))


async def test_migrated_schema_is_the_schema_of_the_tables(database_url: str) -> None:
    async with connected(database_url) as engine, engine.connect() as connection:
        assert await connection.run_sync(differences) == []


def test_a_migration_is_named_by_its_version() -> None:
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    revisions = ScriptDirectory.from_config(config).walk_revisions()
    assert [each.revision for each in revisions] == [*reversed(schema.VERSIONS)]


async def test_the_three_roles_are_there_from_the_first_migration_on(
    database_url: str,
) -> None:
    async with connected(database_url) as engine, engine.connect() as connection:
        names = await connection.scalars(select(roles.c.name).order_by(roles.c.id))
        assert names.all() == ["user", "moderator", "admin"]


async def test_upgrading_again_changes_nothing(database_url: str) -> None:
    async with opened_engine(database_url, pool_size=4) as engine:
        versions = await asyncio.gather(*(upgrade(engine) for _ in range(4)))

    assert versions == [(schema.NEEDED, schema.NEEDED)] * 4


class KilledError(Exception):
    """The process that migrates has ended."""


WAITING: Final = text(
    "SELECT COUNT(*) FROM information_schema.processlist"
    " WHERE db = DATABASE() AND state LIKE 'Waiting for table metadata lock%'"
)

DDL: Final = ("CREATE", "ALTER", "DROP", "RENAME")


async def upgrade_until(url: str, statements: int) -> bool:
    """Migrate; be killed after some statements that change the schema, if there are."""
    engine, left = create_engine(url, pool_size=1), statements

    @event.listens_for(engine.sync_engine, "after_cursor_execute")
    def count(_: object, __: object, statement: str, *___: object) -> None:
        nonlocal left
        left -= statement.lstrip().startswith(DDL)
        if left == 0:
            raise KilledError

    try:
        await upgrade(engine)
    except KilledError:
        return True
    finally:
        await engine.dispose()
    return False


@pytest.mark.timeout(900)  # it migrates anew for each statement
@pytest.mark.parametrize(
    "step",
    [
        pytest.param(7, id="some"),
        pytest.param(1, id="each", marks=[pytest.mark.faults]),
    ],
)
@pytest.mark.parametrize("server", SERVERS)
async def test_a_migration_killed_after_any_statement_goes_on(
    request: pytest.FixtureRequest, server: str, step: int
) -> None:
    where, statements = server_url(request, server), 1 - step
    was_killed = True
    while was_killed:
        statements += step
        async with empty_database(where) as url:
            was_killed = await upgrade_until(url, statements)
            await upgrade_until(url, 1)
            await migrate(url)
            async with connected(url) as engine, engine.connect() as connection:
                assert await connection.run_sync(differences) == []
                names = await connection.scalars(select(roles.c.name))
                heads = await connection.scalars(select(audit_head.c.id))
                assert sorted(names) == ["admin", "moderator", "user"]
                assert heads.all() == [1]
    assert statements > len(metadata.tables)


@pytest.mark.parametrize("server", SERVERS)
async def test_tables_of_something_else_are_not_taken_for_ours(
    request: pytest.FixtureRequest, server: str
) -> None:
    async with empty_database(server_url(request, server)) as url:
        async with connected(url) as engine, engine.begin() as connection:
            await connection.execute(text("CREATE TABLE users (id INT PRIMARY KEY)"))
        with pytest.raises(ForeignTableError, match=r"a table users without .*email"):
            await migrate(url)


async def test_the_version_of_another_application_is_not_ours(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/shared.sqlite"
    async with opened_engine(url, pool_size=1) as engine:
        async with engine.begin() as connection:
            for statement in (
                "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)",
                "INSERT INTO alembic_version VALUES ('ae1027a6acf')",
            ):
                await connection.execute(text(statement))
        assert await schema.present_version(engine) is None

        await upgrade(engine)

        assert await schema.present_version(engine) == schema.NEEDED


@pytest.mark.parametrize("server", SERVERS)
async def test_of_many_migrations_at_once_one_migrates(
    request: pytest.FixtureRequest, server: str
) -> None:
    async with (
        empty_database(server_url(request, server)) as url,
        opened_engine(url, pool_size=4) as engine,
    ):
        versions = await asyncio.gather(*(upgrade(engine) for _ in range(4)))

    assert sorted(before or "" for before, _ in versions) == ["", *[schema.NEEDED] * 3]


@pytest.mark.parametrize("server", SERVERS)
async def test_migrations_of_two_databases_do_not_wait_for_each_other(
    request: pytest.FixtureRequest, server: str
) -> None:
    """One is held up, as by its size, where it reads the version."""
    where = server_url(request, server)
    async with (
        empty_database(where) as held,
        empty_database(where) as free,
        connected(held) as engine,
        engine.connect() as holder,
        engine.connect() as watcher,
    ):
        await migrate(free)
        await holder.execute(text("CREATE TABLE alembic_version (version_num INT)"))
        await holder.execute(text("LOCK TABLES alembic_version WRITE"))
        waiting = asyncio.create_task(migrate(held))
        async with asyncio.timeout(20):
            while not await watcher.scalar(WAITING):  # noqa: ASYNC110 - it is asked
                await asyncio.sleep(0.05)

        await migrate(free)  # which has nothing to do

        assert not waiting.done()
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
