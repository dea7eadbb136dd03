"""Units of work, each in one transaction, with a bound and clear errors."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any, Final, TypeVar

from sqlalchemy import QueuePool, exc
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from identity_service.domain.audit import AuditEvent
from identity_service.domain.errors import DatabaseUnavailableError
from identity_service.storage.engines import POOL_SECONDS, WORK_SECONDS, error_number
from identity_service.storage.faults import reason, write_fault
from identity_service.storage.repositories import Repositories
from identity_service.storage.retries import retried
from identity_service.storage.upgrades.schema import restore_fault
from service_kit.cancelling import cancelled
from service_kit.clock import Clock

_logger: Final = logging.getLogger(__name__)

T = TypeVar("T")
Work = Callable[[Repositories], Awaitable[T]]
"""One unit of work. It may run again after a deadlock, so it has no effect but on
the repositories. Raising rolls it back: a decision by which something is to stay, such
as an audit event, is returned."""

RETRY_AFTER: Final = timedelta(seconds=2)
"""When a client should try again after `DatabaseUnavailableError`."""

_ATTEMPTS: Final = 10
"""Within `WORK_SECONDS`, a second or so of it in pauses: where two nodes write, several
conflicts follow each other, and a server that lets nobody write is soon left out."""

_CONFLICTS: Final = frozenset({1205, 1213, 3101, 8022, 8028, 9007})
"""Errors after which nothing was done, at COMMIT too, and which the next try may not
meet. A wait for a lock and a deadlock: 1205, 1213, the latter also Galera's for a
conflict with another node. Group replication's conflict: 3101. TiDB's: 8022, 8028,
9007."""

_TURNED_AWAY: Final = frozenset({1047, 1290, 1792, 1836})
"""Errors of a server that lets nobody write: a node that has lost its cluster (1047),
or is read-only (1290, 1836). A new connection may lead to another one, or, where its
transaction_read_only was ON when it was made (1792), be made after that."""


class Database:
    """Runs units of work, each in one transaction.

    Locks are taken in one order everywhere: the admin role, users, sessions, access
    tokens, one-time tokens, the outbox, the head of the audit log.
    """

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine
        self._writing = engine.execution_options(writes=True)
        self._clock = clock
        # SQLite has one writer at a time and lets the others poll, which is slow and
        # starves some: those of this process stand in line instead.
        is_sqlite = engine.dialect.name == "sqlite"
        self._writers = asyncio.Semaphore(1) if is_sqlite else None
        self.is_usable = False
        """Whether it is known that no restore has been begun without an end."""
        self._working: set[asyncio.Task[Any]] = set()
        self._is_closed = False
        self.undone = 0
        """Attempts that a deadlock or a lost connection undid; most are repeated."""
        self.failures = 0
        """Units of work given up with `DatabaseUnavailableError`."""
        self._write_fault: str | None = None

    async def close(self) -> None:
        """Cancel the work that goes on, accept no more, and close all connections.

        Work goes on that was shared by clients who are all gone. Its connection would
        return to a pool that nobody closes any more.
        """
        self._is_closed = True
        await asyncio.gather(*map(cancelled, self._working))
        await self._engine.dispose()

    @property
    def in_progress(self) -> int:
        """How many units of work run, or wait for a connection."""
        return len(self._working)

    @property
    def connections(self) -> int | None:
        """How many connections are in use, None if they are not counted."""
        pool = self._engine.pool
        return pool.checkedout() if isinstance(pool, QueuePool) else None

    async def read(self, work: Work[T]) -> T:
        """Run ``work`` where it must not write."""
        return await self._bounded(work, writes=False)

    async def write(self, work: Work[T]) -> T:
        """Run ``work`` and commit, or roll back and raise what it raised.

        ``work`` may run again after a deadlock, so it must have no effect of its
        own outside the transaction.

        Raises `DatabaseUnavailableError`: the database does not respond, refuses to
        work, or is too busy.
        """
        try:
            result = await self._bounded(work, writes=True)
        except DatabaseUnavailableError as error:
            if not isinstance(error.__cause__, exc.TimeoutError):  # no free connection
                self._write_fault = str(error)
            raise
        if self._write_fault is not None:
            # What changes nothing succeeds on a full disk, so something is written.
            with self._counted():
                self._write_fault = await write_fault(self._engine)
        return result

    async def write_warning(self) -> str | None:
        """Return why the last write failed, None if it did not.

        A server whose disk is full, or that is read-only, still lets everybody read.
        """
        fault = self._write_fault
        return fault and f"the last one failed: {fault}"

    async def record(self, event: AuditEvent) -> None:
        """Add an audit event that no other change goes with, such as a refusal."""

        async def work(unit: Repositories) -> None:
            unit.record(event)

        await self.write(work)

    async def _bounded(self, work: Work[T], *, writes: bool) -> T:
        if self._is_closed:
            raise self._unavailable("closed")
        try:
            with self._counted():
                async with asyncio.timeout(WORK_SECONDS):
                    return await retried(
                        partial(self._once, work, writes=writes),
                        on=_UndoneError,
                        attempts=_ATTEMPTS,
                    )
        except _UndoneError as undone:
            raise self._unavailable(reason(undone.reason)) from undone
        except exc.IntegrityError:
            raise
        except (exc.DBAPIError, exc.TimeoutError, TimeoutError, OSError) as error:
            raise self._unavailable(reason(error)) from error

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        """Have the work of this task waited for when the database is closed."""
        task = _this_task()
        self._working.add(task)
        try:
            yield
        finally:
            self._working.discard(task)

    def _unavailable(self, why: str) -> DatabaseUnavailableError:
        self.failures += 1
        _logger.warning("database_unavailable", extra={"reason": why})
        return DatabaseUnavailableError(why)

    async def _once(self, work: Work[T], *, writes: bool) -> T:
        line = self._writers if writes else None
        engine = self._writing if writes else self._engine
        task = _this_task()
        asked = task.cancelling()
        async with _turn(line), engine.connect() as connection:
            # Before Python 3.12, `asyncio.wait_for`, in which the driver connects,
            # loses a cancellation that comes together with what it waits for.
            if task.cancelling() > asked:
                raise asyncio.CancelledError
            result = await self._work(work, connection)
            try:
                await connection.commit()
            except exc.DBAPIError as error:
                if error_number(error) in _CONFLICTS:
                    self.undone += 1
                    raise _UndoneError(error) from error
                raise
            return result

    async def _work(self, work: Work[T], connection: AsyncConnection) -> T:
        try:
            if not self.is_usable:
                await self._demand_usable(connection)
            unit = Repositories(connection, self._clock)
            result = await work(unit)
            await unit.audit.flush()
        except exc.DBAPIError as error:
            number = error_number(error)
            if number in _TURNED_AWAY:
                await connection.invalidate()
            if error.connection_invalidated or number in _CONFLICTS | _TURNED_AWAY:
                self.undone += 1
                raise _UndoneError(error) from error
            raise
        return result

    async def _demand_usable(self, connection: AsyncConnection) -> None:
        """Look once: nobody restores a database that processes use."""
        if fault := await connection.run_sync(restore_fault):
            raise self._unavailable(fault)
        self.is_usable = True


@contextlib.asynccontextmanager
async def _turn(line: asyncio.Semaphore | None) -> AsyncIterator[None]:
    """Wait in line, if there is one, as long as for a connection of the pool.

    Raises the pool's `TimeoutError`: the writers before have not ended in time.
    """
    if line is None:
        yield
        return
    try:
        async with asyncio.timeout(POOL_SECONDS):
            await line.acquire()
    except TimeoutError:
        raise exc.TimeoutError from None
    try:
        yield
    finally:
        line.release()


def _this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("work on the database needs a task")
    return task


class _UndoneError(Exception):
    """The database has undone the work: it may be done again.

    So it is after a conflict, and when the connection was lost before the commit was
    sent. The latter is why no connection is tried before it is used: the first
    statement does as well, and costs no round trip of its own.
    """

    def __init__(self, reason: exc.DBAPIError) -> None:
        super().__init__()
        self.reason = reason
