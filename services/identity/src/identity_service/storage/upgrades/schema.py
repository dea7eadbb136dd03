"""The schema's version: which one a database has, which ones the code works with."""

import asyncio
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from identity_service.storage.engines import WORK_SECONDS

MIGRATIONS: Final = Path(__file__).parents[1] / "migrations"

_NAMES: Final = sorted(path.stem for path in MIGRATIONS.glob("versions/[0-9]*.py"))

VERSIONS: Final = tuple(name[:4] for name in _NAMES)
"""The versions that this code knows, oldest first, by the names of the migrations."""

NEEDED: Final = VERSIONS[-1]

VERSION_TABLE: Final = "schema_version"
"""Where the version stands.

Replicas from before version 0002 demand that Alembic's own table, ``alembic_version``,
says 0001: it goes on saying so, and they stay ready while the new ones start.
"""

UNFINISHED_RESTORE: Final = "unfinished_restore"
"""A table that deploy/backup/restore makes first and removes last: while it is there,
the data may be in part, or revive sessions that have ended."""


def fault(present: str | None) -> str | None:
    """Say why this code cannot work with a schema of this version, None if it can.

    A version that it does not know is later than it. It goes on with that one, since
    migrations leave what the version before them uses as it is.
    """
    if present == NEEDED or (present is not None and present not in VERSIONS):
        return None
    return f"schema {present or 'none'}, not {NEEDED}: run migrate"


def pending(present: str | None) -> list[str]:
    """Return the names of the migrations that ``migrate`` would run, oldest first."""
    if fault(present) is None:
        return []
    return [name for name in _NAMES if present is None or name[:4] > present]


async def present_version(engine: AsyncEngine) -> str | None:
    """Return the version that the database has, None if it has no schema."""
    async with asyncio.timeout(WORK_SECONDS), engine.connect() as connection:
        return await connection.run_sync(version)


def restore_fault(connection: Connection) -> str | None:
    """Say why nobody may use the data, None if no restore was begun without an end."""
    # Asked for by name, a table that is not there is refused to an account that has
    # privileges on ours alone.
    if UNFINISHED_RESTORE in inspect(connection).get_table_names():
        return "a restore has not ended: run deploy/backup/restore again"
    return None


def version(connection: Connection) -> str | None:
    """Return the version that the database has, None if it has no schema."""
    present = _version_in(connection, VERSION_TABLE)
    if present is not None:
        return present
    of_alembic = _version_in(connection, "alembic_version")  # or another application's
    return of_alembic if of_alembic == VERSIONS[0] else None


def _version_in(connection: Connection, table: str) -> str | None:
    if not inspect(connection).has_table(table):
        return None
    statement = text(f"SELECT version_num FROM {table}")  # noqa: S608 - our own names
    found: str | None = connection.scalar(statement)
    return found
