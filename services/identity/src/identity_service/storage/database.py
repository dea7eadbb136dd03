"""Units of work on SQLite, MariaDB and MySQL, each with a bound and clear errors."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, event, exc
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from identity_service.domain.errors import DatabaseUnavailableError
from identity_service.storage.faults import error_number, reason
from identity_service.storage.repositories import Repositories

_logger: Final = logging.getLogger(__name__)

T = TypeVar("T")
Work = Callable[[Repositories], Awaitable[T]]
"""One unit of work. It may run again after a deadlock, so it has no effect but on
the repositories, and what it decides it returns: raising would roll it back."""

WORK_SECONDS: Final = 2.5
"""The longest one unit of work may take, its retries included."""

_CONNECT_SECONDS: Final = 2
_LOCK_WAIT_SECONDS: Final = 1
"""The server's own 50 s would outlive every client, and this leaves time to retry."""

_SQLITE_LOCK_WAIT_SECONDS: Final = 2
"""Of other processes; it is not retried."""

_RETRIES: Final = 3
_DEADLOCK: Final = 1213
_LOCK_WAIT: Final = 1205
_LOST: Final = 2013

_RECYCLE_SECONDS: Final = 1800
"""Far below the server's wait_timeout of 8 h, and below usual firewalls' hour."""


def create_engine(url: str, *, pool_size: int) -> AsyncEngine:
    """Return an engine for this event loop. Nothing is connected yet."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite_engine(parsed, pool_size)
    return _mysql_engine(parsed, pool_size)


def _mysql_engine(url: URL, pool_size: int) -> AsyncEngine:
    """Return an engine whose every failure to connect is an error of the database."""
    engine = create_async_engine(
        url,
        isolation_level="READ COMMITTED",
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=WORK_SECONDS,
        pool_reset_on_return=None,
        pool_recycle=_RECYCLE_SECONDS,
        hide_parameters=True,
        connect_args={
            "charset": "utf8mb4",
            "connect_timeout": _CONNECT_SECONDS,
            "read_timeout": _CONNECT_SECONDS,
            "init_command": (
                f"SET time_zone='+00:00', innodb_lock_wait_timeout={_LOCK_WAIT_SECONDS}"
            ),
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
    another writes, so `Database.write` begins with BEGIN IMMEDIATE.
    """
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=WORK_SECONDS,
        hide_parameters=True,
        connect_args={"timeout": _SQLITE_LOCK_WAIT_SECONDS},
    )

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


class Database:
    """Runs units of work, each in one transaction.

    Locks are taken in one order everywhere: the admin role, users, sessions, access
    tokens, the head of the audit log.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        # SQLite has one writer at a time and lets the others poll, which is slow and
        # starves some: those of this process stand in line instead.
        is_sqlite = engine.dialect.name == "sqlite"
        self._writers = asyncio.Semaphore(1) if is_sqlite else None

    async def read(self, work: Work[T]) -> T:
        """Run ``work`` where it must not write."""
        return await self._bounded(work, writes=False)

    async def write(self, work: Work[T]) -> T:
        """Run ``work`` and commit, or roll back and raise what it raised.

        ``work`` may run again after a deadlock, so it must have no effect of its
        own outside the transaction.

        Raises
        ------
        DatabaseUnavailableError
            The database does not answer, refuses to work, or is too busy.
        """
        return await self._bounded(work, writes=True)

    async def _bounded(self, work: Work[T], *, writes: bool) -> T:
        try:
            async with asyncio.timeout(WORK_SECONDS):
                return await self._retried(work, writes=writes)
        except exc.IntegrityError:
            raise
        except (exc.DBAPIError, exc.TimeoutError, TimeoutError, OSError) as error:
            why = reason(error)
            _logger.warning("database_unavailable", extra={"reason": why})
            raise DatabaseUnavailableError(why) from error

    async def _retried(self, work: Work[T], *, writes: bool) -> T:
        for attempt in range(1, _RETRIES + 1):
            try:
                return await self._once(work, writes=writes)
            except _UndoneError as undone:
                if attempt == _RETRIES:
                    raise undone.reason from undone
            await asyncio.sleep(random.uniform(0.005, 0.05) * attempt)  # noqa: S311
        raise AssertionError

    async def _once(self, work: Work[T], *, writes: bool) -> T:
        line = self._writers if writes else None
        async with (
            line or contextlib.nullcontext(),
            self._engine.connect() as connected,
        ):
            connection = await connected.execution_options(writes=writes)
            async with connection.begin():
                try:
                    return await work(Repositories(connection))
                except exc.DBAPIError as error:
                    if error.connection_invalidated or _is_lock_conflict(error):
                        raise _UndoneError(error) from error
                    raise


class _UndoneError(Exception):
    """The database has undone the work: it may be done again.

    So it is after a deadlock, and when the connection was lost before the commit was
    sent. The latter is why no connection is tried before it is used: the first
    statement does as well, and costs no round trip of its own.
    """

    def __init__(self, reason: exc.DBAPIError) -> None:
        super().__init__()
        self.reason = reason


def _is_lock_conflict(error: exc.DBAPIError) -> bool:
    return error_number(error) in {_DEADLOCK, _LOCK_WAIT}


RETRY_AFTER: Final = timedelta(seconds=2)
"""When a client should try again after `DatabaseUnavailableError`."""
