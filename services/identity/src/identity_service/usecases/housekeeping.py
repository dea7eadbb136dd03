"""Delete expired rows in the background."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Final

from identity_service.domain.errors import DatabaseUnavailableError
from identity_service.storage.database import Database
from service_kit.clock import Clock

_PAUSE_SECONDS: Final = 60.0
_BATCH: Final = 500
"""Sessions deleted in one transaction."""

_KEPT: Final = timedelta(days=7)
"""How long an expired session is kept, so that a late client learns that it expired."""

Chore = Callable[[], Awaitable[int]]
"""Does a bounded part of some work; returns how much it did."""

_logger: Final = logging.getLogger(__name__)


class ExpiredSessions:
    """Deletes sessions that ended long ago."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def prune(self) -> int:
        """Delete a bounded number of sessions; return how many."""
        before = self._clock() - _KEPT
        return await self._database.write(
            lambda unit: unit.sessions.prune(before, _BATCH)
        )


class Housekeeping:
    """Does chores now and then. Any number of processes may, at once."""

    def __init__(self, chores: Mapping[str, Chore]) -> None:
        self._chores = chores

    async def run(self) -> None:
        """Do every chore about once a minute, until cancelled."""
        while True:
            await asyncio.sleep(_PAUSE_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311
            await self.once()

    async def once(self) -> dict[str, int]:
        """Do a part of every chore; return how much of each was done."""
        done = {}
        for name, chore in self._chores.items():
            try:
                done[name] = await chore()
            except DatabaseUnavailableError as error:
                fields = {"chore": name, "reason": str(error)}
                _logger.warning("chore_put_off", extra=fields)
        if any(done.values()):
            _logger.info("housekeeping", extra={"done": done})
        return done
