"""The process knows why nothing can be written, until something was."""

import asyncio

import pytest
from sqlalchemy import Connection, event
from tests.support.identity import identity_settings

from identity_service.composition import Services
from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.errors import DatabaseUnavailableError
from identity_service.storage.repositories import Repositories
from service_kit.cancelling import cancelled


async def change_nothing(unit: Repositories) -> None:
    await unit.roles.names()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_changes_nothing_shows_no_recovery(database_url: str) -> None:
    """As where a server's disk is full (http/test_database_faults.py)."""
    is_refused = True

    def refuse(connection: Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA query_only={int(is_refused)}")

    def allow(connection: Connection) -> None:
        """Let the next transaction begin, which would be refused itself."""
        connection.exec_driver_sql("PRAGMA query_only=0")

    refusal = AuditEvent.without_actor(Action.SIGN_IN_REFUSED, None, "")
    async with Services(identity_settings(database_url)) as services:
        database = services.database
        engine = services.engine.sync_engine
        event.listen(engine, "begin", refuse)
        event.listen(engine, "commit", allow)
        event.listen(engine, "rollback", allow)

        with pytest.raises(DatabaseUnavailableError):
            await database.record(refusal)
        await database.write(change_nothing)
        fault = await database.write_warning()
        assert fault is not None
        assert fault.endswith("attempt to write a readonly database")

        is_refused = False
        await database.write(change_nothing)
        assert await database.write_warning() is None


async def test_a_pool_without_a_free_connection_is_no_fault_of_writes(
    database_url: str,
) -> None:
    settings = identity_settings(database_url, IDENTITY_DATABASE_POOL_SIZE="1")
    async with Services(settings) as services:
        database = services.database
        async with services.engine.connect():
            for run in (database.read, database.write):
                with pytest.raises(DatabaseUnavailableError, match="no connection is"):
                    await run(change_nothing)

        assert await database.write_warning() is None


async def test_a_line_of_writers_is_no_fault_of_writes(database_url: str) -> None:
    """On SQLite they wait for each other, elsewhere for a connection."""
    has_begun = asyncio.Event()

    async def never_end(_: Repositories) -> None:
        has_begun.set()
        await asyncio.Event().wait()

    settings = identity_settings(database_url, IDENTITY_DATABASE_POOL_SIZE="1")
    async with Services(settings) as services:
        database = services.database
        first = asyncio.create_task(database.write(never_end))
        await has_begun.wait()
        with pytest.raises(DatabaseUnavailableError, match="no connection is free"):
            await database.write(change_nothing)

        assert await database.write_warning() is None
        await cancelled(first)
