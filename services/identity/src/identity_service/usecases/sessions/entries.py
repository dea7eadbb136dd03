"""Let each session have a status entry, which all its access tokens name."""

from dataclasses import dataclass, replace
from datetime import datetime

from identity_service.domain.accounts.users import User
from identity_service.domain.sessions.sessions import Session
from identity_service.domain.sessions.status_entries import StatusEntry
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.usecases.sessions.status_entries import StatusEntries


@dataclass(frozen=True, slots=True)
class SessionEntries:
    """Status entries of sessions: kept while they are valid, otherwise replaced."""

    database: Database
    entries: StatusEntries

    async def allocate(self) -> StatusEntry:
        """Return the entry of a session that is to begin; see `StatusEntries`."""
        return await self.entries.allocate()

    async def begin(self, unit: Repositories, session: Session) -> None:
        """Insert a session that has its entry."""
        await unit.sessions.add(session)
        await self._add_token_row(unit, session)

    async def keep(
        self,
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

    async def give(
        self, user_id: int, session_id: str, token_expires_at: datetime
    ) -> tuple[User, StatusEntry] | None:
        """Give a session an entry, and its user a subject, unless they have them.

        Return the user as they are now, and the entry; None if either is over.
        """
        fresh = await self.entries.allocate()

        async def work(unit: Repositories) -> tuple[User, StatusEntry] | None:
            user = await unit.users.give_subject(user_id)
            session = await unit.sessions.lock(session_id)
            if user is None or session is None or session.ended_at is not None:
                return None
            entry = await self.keep(unit, session_id, session.entry, token_expires_at)
            if entry is None:
                await unit.sessions.set_entry(session_id, fresh, token_expires_at)
                given = replace(session, entry=fresh, token_expires_at=token_expires_at)
                await self._add_token_row(unit, given)
            return user, entry or fresh

        return await self.database.write(work)

    async def _add_token_row(self, unit: Repositories, session: Session) -> None:
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
