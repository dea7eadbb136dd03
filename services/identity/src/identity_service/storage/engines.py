"""Engines of SQLite, MariaDB and MySQL, each with bounds on what it waits for."""

import contextlib
import os
from collections.abc import AsyncIterator
from typing import Any, Final

from sqlalchemy import Connection, event, exc, text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from identity_service.storage.database_url import DatabaseUrl

WORK_SECONDS: Final = 2.5
"""The longest one unit of work may take, its retries included.

The driver's own time-out is not used: it would lose cancellations (`Database._once`).
"""

POOL_SECONDS: Final = 2
"""How long work waits for a connection, or in SQLite's line of writers: less than it
may take, so that it ends by this and says so, and leaves some time for the work."""

_CONNECT_SECONDS: Final = 2

_LOCK_WAIT_SECONDS: Final = 1
"""The server's own 50 s would outlive every client, and this leaves time to retry."""

_SQLITE_LOCK_WAIT_SECONDS: Final = 2
"""Of other processes; it is not retried."""

_LOST: Final = 2013
"""The driver's number of a connection that the server has closed."""

_TABLE_LOCK_WAIT_SECONDS: Final = 3
"""For a change of the schema; the server's own limit is a day, or a year. Longer than a
unit of work, so that `migrate` waits for those that run. Others wait behind it, so what
the server goes on with for nobody is left to its next attempt."""

_STATEMENT_SECONDS: Final = 6
"""Longer than anybody waits for one. The server does not notice who has gone."""

_SESSION: Final = (
    "SET time_zone='+00:00', sql_mode='TRADITIONAL', sql_safe_updates=0,"
    f" default_storage_engine=InnoDB, innodb_lock_wait_timeout={_LOCK_WAIT_SECONDS},"
    f" lock_wait_timeout={_TABLE_LOCK_WAIT_SECONDS}"
    f" /*M!100101 , max_statement_time={_STATEMENT_SECONDS} */"
    f" /*!80000 , max_execution_time={_STATEMENT_SECONDS * 1000} */"
)
"""What a connection does not leave to the server's own settings.

MariaDB reads the first comment, MySQL the second, which bounds what only reads.

Without strict modes a value that is too long is cut; with NO_BACKSLASH_ESCAPES the
driver writes other bytes than it was given; tables of MyISAM have no transactions.
"""

UNBOUNDED: Final = text(
    "SET /*M!100101 max_statement_time=0 */ /*!80000 max_execution_time=0 */"
)
"""Has a connection's statements take as long as they need."""

_RECYCLE_SECONDS: Final = 1800
"""Far below the server's wait_timeout of 8 h, and below usual firewalls' hour."""


def create_engine(url: str, *, pool_size: int) -> AsyncEngine:
    """Return an engine for this event loop. Nothing is connected yet.

    Raises `ValueError`: the URL is not usable.
    """
    parsed = DatabaseUrl.parse(url)
    if parsed.url.get_backend_name() == "sqlite":
        return _sqlite_engine(parsed.url, pool_size)
    return _mysql_engine(parsed, pool_size)


@contextlib.asynccontextmanager
async def opened_engine(url: str, *, pool_size: int) -> AsyncIterator[AsyncEngine]:
    """Yield an engine whose connections are closed after the block."""
    engine = create_engine(url, pool_size=pool_size)
    try:
        yield engine
    finally:
        await engine.dispose()


def error_number(error: exc.DBAPIError) -> int | None:
    """Return the server's number of an error, None where it gives none."""
    arguments = getattr(error.orig, "args", ())
    return arguments[0] if arguments and isinstance(arguments[0], int) else None


def _mysql_engine(where: DatabaseUrl, pool_size: int) -> AsyncEngine:
    """Return an engine whose every failure to connect is an error of the database."""
    engine = create_async_engine(
        where.url,
        isolation_level="READ COMMITTED",
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_SECONDS,
        pool_reset_on_return=None,
        pool_recycle=_RECYCLE_SECONDS,
        hide_parameters=True,
        connect_args={
            "charset": "utf8mb4",
            "connect_timeout": _CONNECT_SECONDS,
            "ssl": where.tls,
            "init_command": _SESSION,
        },
    )

    @event.listens_for(engine.sync_engine, "do_connect")
    def connect(dialect: Any, _: object, where: Any, how: Any) -> Any:  # noqa: ANN401 - the driver's own
        try:
            return dialect.connect(*where, **how)
        except RuntimeError as error:
            # A server that hangs up at once leaves uvloop's transport without a
            # socket, and the driver takes that for a fault of the program.
            raise dialect.loaded_dbapi.OperationalError(_LOST, "hung up") from error

    return engine


def _sqlite_engine(url: URL, pool_size: int) -> AsyncEngine:
    """Return an engine whose writers queue up front instead of failing half-way.

    A transaction that reads first and writes later cannot be promoted while
    another writes, so `Database.write` begins with BEGIN IMMEDIATE. A file that is not
    there yet is made for its owner alone: it will hold password hashes.
    """
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_SECONDS,
        hide_parameters=True,
        connect_args={"timeout": _SQLITE_LOCK_WAIT_SECONDS},
    )

    @event.listens_for(engine.sync_engine, "do_connect")
    def create(*_: object) -> None:
        if url.database and not url.database.startswith("file:"):
            with contextlib.suppress(OSError):
                os.close(os.open(url.database, os.O_CREAT | os.O_EXCL, 0o600))

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _: object) -> None:  # noqa: ANN401 - the driver's own
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
