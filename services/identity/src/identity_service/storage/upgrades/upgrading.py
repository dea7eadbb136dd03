"""Bringing a database to the schema that is needed, with Alembic.

A module of its own, because Alembic would take a sixth of the time of every start.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from identity_service.domain.errors import IdentityError
from identity_service.storage.engines import UNBOUNDED, error_number
from identity_service.storage.upgrades.schema import (
    MIGRATIONS,
    VERSION_TABLE,
    VERSIONS,
    version,
)

logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)

_LONGEST_SECONDS: Final = 3600
"""It may copy tables."""

_LOCK_SECONDS: Final = 60
"""How long one migration waits for another: a deployment starts several together."""

_TABLE_IN_USE: Final = 1205

_ATTEMPTS: Final = 3
"""At a table that is in use, each for `_TABLE_LOCK_WAIT_SECONDS`: together longer than
the server goes on with what reads it for nobody. Between them others have their turn.
"""

_LOCK: Final = "CONCAT('identity-migrations-', LEFT(SHA2(DATABASE(), 256), 40))"
"""Locks are the server's, which may have several databases of ours, and their names
have at most 64 characters. MySQL 9.7 has no SHA1 of its own."""


class MigrationRunningError(IdentityError):
    """Another migration is running: try again when it has ended."""


def _config() -> Config:
    config = Config()
    # A % in the path would begin an interpolation.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


async def upgrade(engine: AsyncEngine) -> tuple[str | None, str]:
    """Bring the database to the version needed; return the one before and after.

    A later version stays as it is. Simultaneous calls for one database wait for each
    other. SQLite applies all migrations or none. MySQL and MariaDB cannot roll DDL
    back: there a call goes on where the last one was killed (`storage.resumable_ddl`).

    Raises `MigrationRunningError`: another one has not ended within a minute.
    """
    writing = engine.execution_options(writes=True)
    async with asyncio.timeout(_LONGEST_SECONDS), writing.connect() as connection:
        for _ in range(_ATTEMPTS - 1):
            try:
                return await connection.run_sync(_upgrade)
            except OperationalError as error:
                if error_number(error) != _TABLE_IN_USE:
                    raise
        return await connection.run_sync(_upgrade)


def _context(connection: Connection) -> MigrationContext:
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})


def _upgrade(connection: Connection) -> tuple[str | None, str]:
    with _locked(connection), connection.begin():
        before = version(connection)
        if before is None or before in VERSIONS:
            _apply(connection, before)
        after = version(connection)
    if after is None:
        raise RuntimeError("there are no migrations")
    return before, after


def _apply(connection: Connection, before: str | None) -> None:
    config = _config()
    config.attributes["connection"] = connection
    if before is not None:
        _context(connection).stamp(ScriptDirectory.from_config(config), before)
    command.upgrade(config, "head")


@contextlib.contextmanager
def _locked(connection: Connection) -> Iterator[None]:
    """Keep others from migrating until the commit; on SQLite the transaction does.

    A server gives the lock back when the connection ends, however it ends.
    """
    if connection.dialect.name == "sqlite":
        yield
        return
    connection.execute(UNBOUNDED)
    taking = text(f"SELECT GET_LOCK({_LOCK}, {_LOCK_SECONDS})")
    if not connection.scalar(taking):
        raise MigrationRunningError
    connection.commit()  # of nothing: the transaction to come is the caller's
    try:
        yield
    finally:
        with contextlib.suppress(SQLAlchemyError):
            connection.execute(text(f"SELECT RELEASE_LOCK({_LOCK})"))
