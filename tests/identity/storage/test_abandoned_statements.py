"""The server ends what nobody waits for any more, and nobody waits behind `migrate`."""

import asyncio
from typing import Final

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.support.database import (
    SERVERS,
    connected,
    empty_database,
    migrate,
    server_url,
)

from identity_service.storage.engines import opened_engine
from identity_service.storage.tables import one_time_tokens
from service_kit.cancelling import cancelled

RUNNING: Final = text(
    "SELECT COUNT(*) FROM information_schema.processlist"
    " WHERE db = DATABASE() AND command = 'Query' AND id <> CONNECTION_ID()"
)


LONG_READ: Final = text(
    "SELECT COUNT(*), BENCHMARK(1000000000000, 1) FROM one_time_tokens"
)


async def revert(connection: AsyncConnection) -> None:
    """Undo the change of a table by a migration, which is then pending again."""
    for statement in (
        "DROP INDEX ix_one_time_tokens_email_key ON one_time_tokens",
        "UPDATE schema_version SET version_num = '0010'",
    ):
        await connection.execute(text(statement))
    await connection.commit()


async def until_running(number: int, watcher: AsyncConnection) -> None:
    async with asyncio.timeout(10):
        while await watcher.scalar(RUNNING) != number:  # noqa: ASYNC110 - it is asked
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("UPDATE roles SET description = ''", id="waits for a table"),
        pytest.param("SELECT BENCHMARK(1000000000000, 1)", id="takes long"),
    ],
)
@pytest.mark.parametrize("database_url", SERVERS, indirect=True)
async def test_a_statement_that_nobody_waits_for_ends(
    database_url: str, statement: str
) -> None:
    async with (
        connected(database_url) as other,
        opened_engine(database_url, pool_size=1) as engine,
        other.connect() as holder,
        other.connect() as watcher,
    ):
        await holder.execute(text("LOCK TABLES roles READ"))
        async with engine.connect() as connection:
            waiting = asyncio.create_task(connection.execute(text(statement)))
            await until_running(1, watcher)
            await cancelled(waiting)

        await until_running(0, watcher)


@pytest.mark.parametrize("server", SERVERS)
async def test_a_migration_does_not_wait_long_for_a_reader(
    request: pytest.FixtureRequest, server: str
) -> None:
    """All others would wait behind it."""
    async with (
        empty_database(server_url(request, server)) as url,
        connected(url) as engine,
        engine.connect() as reader,
    ):
        await migrate(url)
        await revert(reader)
        await reader.execute(select(one_time_tokens.c.id))

        async with asyncio.timeout(20):
            with pytest.raises(OperationalError, match="1205"):
                await migrate(url)

        await reader.rollback()
        await migrate(url)


@pytest.mark.parametrize("server", SERVERS)
async def test_a_migration_outlasts_a_statement_that_nobody_waits_for(
    request: pytest.FixtureRequest, server: str
) -> None:
    async with (
        empty_database(server_url(request, server)) as url,
        connected(url) as other,
        other.connect() as watcher,
        opened_engine(url, pool_size=1) as engine,
    ):
        await migrate(url)
        await revert(watcher)
        async with engine.connect() as connection:
            abandoned = asyncio.create_task(connection.execute(LONG_READ))
            await until_running(1, watcher)
            await cancelled(abandoned)

        await migrate(url)
