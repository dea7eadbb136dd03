"""Remove in the background what is over."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from identity_service.domain.errors import DatabaseUnavailableError
from identity_service.domain.sessions.status_entries import KEPT_EXPIRED
from identity_service.storage.database import Database
from identity_service.storage.expired_rows import Expiring
from identity_service.storage.repositories import Repositories
from service_kit.clock import Clock

_PAUSE_SECONDS: Final = 60.0
_CHORE_SECONDS: Final = 15.0
"""How long one chore may go on before the others have their turn."""

_BATCH: Final = 1000
"""Rows removed, or looked at, in one transaction: some tens of milliseconds."""

KEPT_SESSION: Final = timedelta(days=7)
"""How long an expired session is kept, so that a late client learns that it expired."""

KEPT_DEAD_LETTER: Final = timedelta(days=30)
"""How long the operator can inspect a letter that could not be sent."""

KEPT_MAIL_REQUEST: Final = timedelta(days=1)
"""How long a mail that somebody asked for is worth sending. Requests wait while nobody
sends mail, because it was turned off or only a later version knows their kind."""

_KEPT: Final[Mapping[Expiring, timedelta]] = {
    Expiring.SESSIONS: KEPT_SESSION,
    Expiring.ACCESS_TOKENS: KEPT_EXPIRED,
    Expiring.MAIL_REQUESTS: KEPT_MAIL_REQUEST,
    Expiring.DEAD_LETTERS: KEPT_DEAD_LETTER,
    Expiring.SPENT_CHALLENGES: KEPT_EXPIRED,
}
"""How long rows stay after they have expired; others go immediately."""

_logger: Final = logging.getLogger(__name__)


async def _no_backlog() -> timedelta:
    return timedelta()


@dataclass(frozen=True, slots=True)
class Chore:
    """Some work that has to be done now and then."""

    name: str
    """What logs and metrics call it."""
    prune: Callable[[], Awaitable[int]]
    """Does a bounded part of the work; returns how much, 0 when nothing is left."""
    backlog: Callable[[], Awaitable[timedelta]] = _no_backlog
    """Returns for how long the oldest part of it has been due, where that matters."""


def expired_rows_chores(database: Database, clock: Clock) -> list[Chore]:
    """Return the chores that remove expired rows, and what they leave."""

    async def remove_of_deleted_user() -> int:
        return await database.write(
            lambda unit: unit.expired_rows.remove_of_deleted_user(_BATCH)
        )

    async def remove_closed_lists() -> int:
        return await database.write(
            lambda unit: unit.status_lists.remove_closed(clock())
        )

    return [
        *(_expired_rows_chore(kind, database, clock) for kind in Expiring),
        Chore("deleted_users", remove_of_deleted_user),
        Chore("status_lists", remove_closed_lists),
    ]


def _expired_rows_chore(kind: Expiring, database: Database, clock: Clock) -> Chore:
    """Return the chore that removes the expired rows of one kind, oldest first."""
    kept = _KEPT.get(kind, timedelta())

    async def prune() -> int:
        before = clock() - kept
        return await database.write(
            lambda unit: unit.expired_rows.remove(kind, before, _BATCH)
        )

    async def backlog() -> timedelta:
        oldest = await database.read(lambda unit: unit.expired_rows.oldest(kind))
        return max(clock() - kept - oldest, timedelta()) if oldest else timedelta()

    return Chore(kind.name.lower(), prune, backlog)


def search_words_chore(database: Database) -> Chore:
    """Return the chore that lets users be found whom an older version has added.

    Each process looks at every id once: what this version writes has its search words.
    """
    last_id = 0

    async def look(unit: Repositories) -> tuple[int, int]:
        return await unit.search_words.fill(last_id, _BATCH)

    async def add() -> int:
        """Look at users until some had no words; return how many, 0 at the end."""
        nonlocal last_id
        while True:
            after_id = last_id
            last_id, filled = await database.write(look)
            if filled or last_id == after_id:
                return filled

    return Chore("search_words", add)


@dataclass(frozen=True, slots=True)
class ChoreState:
    """The result of a chore's last run."""

    finished_at: float
    """By the monotonic clock: when it last succeeded."""
    backlog: timedelta


class Housekeeping:
    """Does chores about once a minute, in any number of processes concurrently."""

    def __init__(
        self, chores: Sequence[Chore], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._chores = chores
        self._monotonic = monotonic
        begun_at = monotonic()
        self.states = {
            chore.name: ChoreState(begun_at, timedelta()) for chore in chores
        }

    async def run(self) -> None:
        """Do every chore about once a minute until cancelled, even after errors."""
        while True:
            await asyncio.sleep(_PAUSE_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311
            await self.once()

    async def once(self) -> dict[str, int]:
        """Do every chore until nothing is left; return how much of each was done.

        One that takes long goes on in the next round. One that fails does not keep
        the others from being done.
        """
        done = {}
        for chore in self._chores:
            try:
                done[chore.name] = await self._do(chore)
            except DatabaseUnavailableError as error:
                fields = {"chore": chore.name, "reason": str(error)}
                _logger.warning("chore_put_off", extra=fields)
            except Exception:
                _logger.exception("chore_failed", extra={"chore": chore.name})
        if any(done.values()):
            _logger.info("housekeeping", extra={"done": done})
        return done

    def age(self, name: str) -> timedelta:
        """Return how long ago a chore last succeeded."""
        finished_at = self.states[name].finished_at
        return timedelta(seconds=self._monotonic() - finished_at)

    async def _do(self, chore: Chore) -> int:
        done, begun_at = 0, self._monotonic()
        while self._monotonic() - begun_at < _CHORE_SECONDS:
            part = await chore.prune()
            done += part
            if part == 0:
                break
        backlog = await chore.backlog()
        self.states[chore.name] = ChoreState(self._monotonic(), backlog)
        return done
