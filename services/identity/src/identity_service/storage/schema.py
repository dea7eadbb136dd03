"""The schema's version: which one a database has, which ones the code works with."""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from identity_service.domain.errors import IdentityError

# Whoever asks whether identity is ready has the version read, twice a second.
logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_LOCK_SECONDS: Final = 60
"""How long one migration waits for another: a deployment starts several at once."""

VERSION_TABLE: Final = "schema_version"
"""Where the version stands.

Replicas from before version 0002 demand that Alembic's own table, ``alembic_version``,
says 0001: it goes on saying so, and they stay ready while the new ones start.
"""


class MigrationRunningError(IdentityError):
    """Another migration is running: try again when it has ended."""


def _config() -> Config:
    config = Config()
    # A % in the path would begin an interpolation.
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


def known_versions() -> tuple[str, ...]:
    """Return the versions that this code knows, oldest first; it needs the last."""
    revisions = ScriptDirectory.from_config(_config()).walk_revisions()
    return tuple(reversed([each.revision for each in revisions]))


def fault(present: str | None, known: Sequence[str]) -> str | None:
    """Say why this code cannot work with a schema of this version, None if it can.

    A version that it does not know is later than it. It goes on with that one, since
    migrations leave what the version before them uses as it is.
    """
    if present == known[-1] or (present is not None and present not in known):
        return None
    return f"schema {present or 'none'}, not {known[-1]}: run migrate"


async def present_version(engine: AsyncEngine) -> str | None:
    """Return the version that the database has, None if it has no schema."""
    async with engine.connect() as connection:
        return await connection.run_sync(version)


async def upgrade(engine: AsyncEngine) -> tuple[str | None, str]:
    """Bring the database to the version needed; return the one before and after.

    A later version stays as it is. Simultaneous calls wait for each other. SQLite
    applies all migrations or none. MySQL and MariaDB cannot roll DDL back: there a
    call goes on where the last one was killed (`storage.resumable_ddl`).

    Raises
    ------
    MigrationRunningError
        Another one has not ended within a minute.
    """
    async with engine.execution_options(writes=True).connect() as connection:
        return await connection.run_sync(_upgrade)


def _context(connection: Connection) -> MigrationContext:
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})


def version(connection: Connection) -> str | None:
    """Return the version that the database has, None if it has no schema."""
    present = _context(connection).get_current_revision()
    if present is None:
        return MigrationContext.configure(connection).get_current_revision()
    return present


def _upgrade(connection: Connection) -> tuple[str | None, str]:
    with _locked(connection), connection.begin():
        before = version(connection)
        if before is None or before in known_versions():
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
    # In short turns, because a connection bounds how long one statement takes.
    taking = text("SELECT GET_LOCK('identity-migrations', 1)")
    if not any(connection.scalar(taking) for _ in range(_LOCK_SECONDS)):
        raise MigrationRunningError
    connection.commit()  # of nothing: the transaction to come is the caller's
    try:
        yield
    finally:
        with contextlib.suppress(SQLAlchemyError):
            connection.execute(text("SELECT RELEASE_LOCK('identity-migrations')"))
