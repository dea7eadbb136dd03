"""The schema's version: which one a database has, which one the code needs."""

import logging
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

# Whoever asks whether identity is ready has the version read, twice a second.
logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_LOCK_SECONDS: Final = 60
"""How long one migration waits for another: a deployment starts several at once."""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    return config


def needed_version() -> str:
    """Return the version that this code works with."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise RuntimeError("there are no migrations")
    return head


async def present_version(engine: AsyncEngine) -> str | None:
    """Return the version that the database has, None if it has no schema."""
    async with engine.connect() as connection:
        return await connection.run_sync(_version)


async def upgrade(engine: AsyncEngine) -> tuple[str | None, str]:
    """Bring the database to the version needed; return the one before and after.

    Simultaneous calls wait for each other. SQLite and MariaDB apply a migration
    wholly or not at all; MySQL cannot roll its DDL back, so each is kept small.
    """
    async with (
        engine.execution_options(writes=True).connect() as connection,
        connection.begin(),
    ):
        return await connection.run_sync(_upgrade)


def _version(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _upgrade(connection: Connection) -> tuple[str | None, str]:
    is_sqlite = connection.dialect.name == "sqlite"
    if not is_sqlite:
        connection.execute(
            text("SELECT GET_LOCK('identity-migrations', :seconds)"),
            {"seconds": _LOCK_SECONDS},
        )
    before = _version(connection)
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    if not is_sqlite:
        connection.execute(text("SELECT RELEASE_LOCK('identity-migrations')"))
    return before, needed_version()
