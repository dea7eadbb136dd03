"""The database's time, which all replicas use in place of their own clocks."""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import exc, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from identity_service.domain.errors import DatabaseUnavailableError
from identity_service.storage.engines import WORK_SECONDS
from identity_service.storage.faults import reason
from service_kit.clock import Clock, utc_now

CLOCKS_MAY_DIFFER: Final = timedelta(seconds=5)
"""Beyond it the operator is warned. Logs have the process's own time, and so have
certificates and whatever else is not judged by the database's."""

_EVERY_SECONDS: Final = 60.0
_RETRY_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 1.0
_JUMP: Final = timedelta(seconds=1)

_ROUND_TRIPS: Final = 5
"""Of which the quickest counts: it leaves the least doubt when the server looked."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_NOW: Final = text("SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS UNSIGNED)")
"""Microseconds."""

_logger: Final = logging.getLogger(__name__)


class _Sample(NamedTuple):
    round_trip: float
    zero: datetime
    """The database's time when the monotonic clock was at zero."""


class DatabaseClock:
    """A `Clock` that shows the database's time, as it was last measured.

    Between measurements it goes on by the monotonic clock, so no setting of the
    process's own clock moves it. SQLite has no time but the process's.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        own: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._own = own
        self._monotonic = monotonic
        self._has_own_time = engine.dialect.name != "sqlite"
        self._zero: datetime | None = None
        self._measured_ahead = timedelta()
        self._known = asyncio.Event()
        if not self._has_own_time:
            self._known.set()

    def __call__(self) -> datetime:
        """Return the database's time, the process's own until it was measured."""
        if self._zero is None:
            return self._own()
        return self._zero + timedelta(seconds=self._monotonic())

    async def run(self) -> None:
        """Measure now, every minute and after a jump, until cancelled.

        A measurement that has begun ends first: a connection that is cancelled while
        it is made may leave its socket open (asyncio.wait_for before Python 3.12).
        """
        while True:
            measuring = asyncio.ensure_future(self._try_to_measure())
            try:
                seconds = await asyncio.shield(measuring)
            finally:
                await asyncio.wait((measuring,))
            if warning := await self.warning():
                _logger.warning("host_clock_differs", extra={"reason": warning})
            await self._until_due(seconds)

    async def _until_due(self, seconds: float) -> None:
        """Wait so long, or until the process's own clock has jumped.

        So it does while a machine sleeps, for which the monotonic clock stands still.
        """
        due_at, has_jumped = self._monotonic() + seconds, False
        while self._monotonic() < due_at and not has_jumped:
            await asyncio.sleep(_LOOK_SECONDS)
            has_jumped = abs(self.ahead() - self._measured_ahead) >= _JUMP

    async def _try_to_measure(self) -> float:
        """Measure, and return the seconds until it is to be done again."""
        try:
            await self.measure()
        except DatabaseUnavailableError:
            return _RETRY_SECONDS
        return _EVERY_SECONDS

    async def measure(self) -> None:
        """Ask the database for its time, or raise `DatabaseUnavailableError`."""
        if not self._has_own_time:
            return
        try:
            async with (
                asyncio.timeout(WORK_SECONDS),
                self._engine.connect() as connection,
            ):
                samples = [await self._sample(connection) for _ in range(_ROUND_TRIPS)]
        except (exc.SQLAlchemyError, OSError, TimeoutError) as error:
            raise DatabaseUnavailableError(reason(error)) from error
        self._zero = min(samples).zero
        self._measured_ahead = self.ahead()
        self._known.set()

    async def until_known(self) -> None:
        """Wait until nothing is judged by the process's own clock any more."""
        await self._known.wait()

    async def fault(self) -> str | None:
        """Return why no time can be judged by, None if one can: for readiness."""
        return None if self._known.is_set() else "the database's time is not known yet"

    async def warning(self) -> str | None:
        """Return by how much the process's own clock is wrong, None if it is well."""
        ahead = self.ahead()
        if abs(ahead) <= CLOCKS_MAY_DIFFER:
            return None
        seconds = ahead.total_seconds()
        where = "ahead of" if seconds > 0 else "behind"
        return f"this host's clock is {abs(seconds):.0f} s {where} the database's"

    def ahead(self) -> timedelta:
        """Return how far the process's own clock is ahead of the database's."""
        return self._own() - self()

    async def _sample(self, connection: AsyncConnection) -> _Sample:
        before = self._monotonic()
        microseconds = int(await connection.scalar(_NOW) or 0)
        after = self._monotonic()
        theirs = _EPOCH + timedelta(microseconds=microseconds)
        return _Sample(after - before, theirs - timedelta(seconds=(before + after) / 2))
