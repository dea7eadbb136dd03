"""Give sessions their status entries, each once."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from identity_service.domain.accounts.users import User
from identity_service.domain.errors import LostRaceError
from identity_service.domain.sessions.sessions import Session
from identity_service.domain.sessions.status_entries import Lease, StatusEntry
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.storage.retries import retried
from identity_service.usecases.caching.single_flight import SingleFlight
from service_kit.clock import Clock

_ATTEMPTS: Final = 5
"""Races for the next list are lost once a list at most."""


class StatusEntries:
    """Entries of status lists, none of them given to two sessions.

    Positions are leased in blocks, so the database is asked once for many. A
    process that dies loses its lease, and with it some unused entries.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._lease: Lease | None = None
        self._renewal = SingleFlight(self._renew)
        self.leases_taken = 0

    async def allocate(self) -> StatusEntry:
        """Return the entry of a session that is to begin.

        Called outside of transactions: it may need one of its own.

        Raises `DatabaseUnavailableError`: a lease is needed and can't be had.
        """
        while True:
            if self._lease is not None:
                entry = self._lease.take(self._clock())
                if entry is not None:
                    return entry
            await self._renewal.join()

    def left(self) -> int:
        """Return how many entries this process can give without the database."""
        return 0 if self._lease is None else self._lease.left(self._clock())

    async def give(
        self, user_id: int, session_id: str, token_expires_at: datetime
    ) -> tuple[User, StatusEntry] | None:
        """Give a session an entry, and its user a subject, unless they have them.

        Return the user as they are now, and the entry; None if either is over.
        """
        fresh = await self.allocate()

        async def work(unit: Repositories) -> tuple[User, StatusEntry] | None:
            user = await unit.users.give_subject(user_id)
            session = await unit.sessions.lock(session_id)
            if user is None or session is None or session.ended_at is not None:
                return None
            entry = await kept_entry(unit, session_id, session.entry, token_expires_at)
            if entry is None:
                await unit.sessions.set_entry(session_id, fresh, token_expires_at)
                given = replace(session, entry=fresh, token_expires_at=token_expires_at)
                await _add_token_row(unit, given)
            return user, entry or fresh

        return await self._database.write(work)

    async def _renew(self) -> None:
        self._lease = await retried(
            self._lease_block, on=LostRaceError, attempts=_ATTEMPTS
        )
        self.leases_taken += 1

    async def _lease_block(self) -> Lease:
        return await self._database.write(
            lambda unit: unit.status_lists.lease(self._clock())
        )


async def add_session(unit: Repositories, session: Session) -> None:
    """Insert a session that has its entry."""
    await unit.sessions.add(session)
    await _add_token_row(unit, session)


async def kept_entry(
    unit: Repositories,
    session_id: str,
    entry: StatusEntry | None,
    token_expires_at: datetime,
) -> StatusEntry | None:
    """Return the entry of a session, None if its next token needs another.

    That of a numbered list is good while replicas of version 0003 may run and
    none of them has revoked it.
    """
    if entry is None or entry.list_number is None:
        return entry
    is_good = await unit.status_lists.rollout_ends_at(
        unit.now()
    ) is not None and await unit.access_tokens.prolong(
        list_id=entry.list_number,
        idx=entry.idx,
        session_id=session_id,
        expires_at=token_expires_at,
    )
    return entry if is_good else None


async def _add_token_row(unit: Repositories, session: Session) -> None:
    """Have replicas of version 0003 accept and list the session's tokens."""
    entry, expires_at = session.entry, session.token_expires_at
    if entry is None or entry.list_number is None or expires_at is None:
        return
    await unit.access_tokens.add(
        list_id=entry.list_number,
        idx=entry.idx,
        user_id=session.user_id,
        session_id=session.id,
        expires_at=expires_at,
    )
