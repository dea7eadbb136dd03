"""Say what is wrong with the database, in words that repeat no secret."""

import asyncio
import secrets
import sqlite3
from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection, delete, exc, insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from identity_service.storage.engines import WORK_SECONDS, error_number
from identity_service.storage.tables import spent_challenges
from identity_service.storage.upgrades import schema
from service_kit.clock import utc_now
from service_kit.connection_faults import chain, connection_fault

_BINLOG: Final = (
    "binlog_format is STATEMENT, which forbids writes at READ COMMITTED:"
    " set binlog_format to ROW or MIXED"
)

_NUMBERS: Final = {
    1021: "the server's disk is full",
    1040: "too many connections",
    1044: "the user may not use this database",
    1045: "wrong user or password, or the server wants TLS",
    1047: "the server has lost its cluster",
    1049: "there is no such database",
    1114: "the server's disk is full, or a table has its greatest size",
    1130: "the server takes no connections from this host",
    1142: "the user lacks a privilege",
    1146: "a table is missing: run migrate",
    1205: "waited too long for a lock",
    1213: "deadlock",
    1226: "the user has as many connections as the server lets it have",
    1290: "the server is read-only",
    1665: _BINLOG,
    1698: "wrong user or password",
    1792: "the server's transaction_read_only is ON",
    1820: "the user's password has expired",
    1836: "the server is read-only",
    1862: "the user's password has expired",
    2003: "no connection",
    2013: "the connection was lost",
    2059: "the user's way to authenticate is one that the driver does not know",
    3101: "another server of the group was faster",
    3118: "the user is locked",
    3159: "the server wants TLS: add ssl-mode to the URL",
}
"""Errors of MySQL and MariaDB that the operator can mend."""

_CAUSES: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (exc.TimeoutError, "no connection is free"),
    (FileNotFoundError, "no such file or folder"),
    (PermissionError, "permission denied"),
)


def reason(error: BaseException) -> str:
    """Name an error of the database, without its text, which may quote a secret."""
    number = error_number(error) if isinstance(error, exc.DBAPIError) else None
    name = type(error).__name__ + (f" {number}" if number is not None else "")
    words = dict.fromkeys(_words(error, number))
    return f"{name}: {', '.join(words)}" if words else name


async def database_fault(engine: AsyncEngine) -> str | None:
    """Return why identity cannot work with the database, None if it can."""
    try:
        async with engine.connect() as connection:
            present = await connection.run_sync(schema.version)
            return (
                schema.fault(present)
                or await connection.run_sync(schema.restore_fault)
                or await connection.run_sync(_settings)
            )
    except (exc.SQLAlchemyError, OSError) as error:
        return f"no response: {reason(error)}"


async def write_fault(engine: AsyncEngine) -> str | None:
    """Return why nothing can be written, None if it can.

    A row is added and removed in one transaction: what changes nothing at all is never
    written, and so succeeds on a full disk.
    """
    table, digest = spent_challenges, secrets.token_hex(16)
    try:
        async with (
            asyncio.timeout(WORK_SECONDS),
            engine.execution_options(writes=True).begin() as connection,
        ):
            row = {"digest": digest, "expires_at": utc_now()}
            await connection.execute(insert(table).values(row))
            await connection.execute(delete(table).where(table.c.digest == digest))
    except (exc.SQLAlchemyError, OSError) as error:
        return reason(error)
    return None


def _settings(connection: Connection) -> str | None:
    """Return which of the server's settings keeps identity from writing."""
    if connection.dialect.name == "sqlite":
        return None
    rows = connection.execute(
        text("SHOW VARIABLES WHERE Variable_name IN ('log_bin', 'binlog_format')")
    )
    found = {str(name).lower(): str(value).upper() for name, value in rows}
    is_broken = (
        found.get("log_bin") == "ON" and found.get("binlog_format") == "STATEMENT"
    )
    return _BINLOG if is_broken else None


def _words(error: BaseException, number: int | None) -> Iterator[str]:
    if number in _NUMBERS:
        yield _NUMBERS[number]
    if fault := connection_fault(error):
        yield fault
    for cause in chain(error):
        if type(cause) in {sqlite3.OperationalError, sqlite3.DatabaseError}:
            yield str(cause)  # "file is not a database": never a value
        yield from (words for kind, words in _CAUSES if isinstance(cause, kind))
