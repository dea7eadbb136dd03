"""Sessions in the database. Ending one revokes its access tokens."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import bindparam, null, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from identity_service.domain.sessions.authentication import Authentication
from identity_service.domain.sessions.sessions import EndReason, Session, SessionRules
from identity_service.domain.sessions.status_entries import KEPT_EXPIRED, StatusEntry
from identity_service.storage.repository import Repository
from identity_service.storage.sessions.access_tokens import AccessTokenRepository
from identity_service.storage.sessions.queries import (
    ADD,
    ROTATE,
    TOUCH,
    WITH_SUBJECT,
    authentication_columns,
    entry_columns,
    read_session,
    session_columns,
    unended,
)
from identity_service.storage.sessions.status_lists import StatusListRepository
from identity_service.storage.tables import Moment, sessions
from service_kit.clock import Clock

BATCH: Final = 1000
"""Sessions ended by one statement. No user has as many live ones, unless a version
that knew no limit let them."""

_SURPLUS: Final = (
    select(sessions.c.id)
    .where(unended(bindparam("user_id"), bindparam("now", type_=Moment())))
    .order_by(sessions.c.idle_expires_at.desc())
    .limit(BATCH)
    .offset(bindparam("most"))
)
"""Built once: it runs at each sign-in."""

_LONGEST_TOKEN: Final = timedelta(days=1)
"""An access token may outlive its session by as much: it has to be revoked, too."""


class SessionRepository(Repository):
    """Sessions, within one transaction."""

    def __init__(self, connection: AsyncConnection, clock: Clock) -> None:
        super().__init__(connection, clock)
        self._lists = StatusListRepository(connection, clock)
        self._tokens = AccessTokenRepository(connection, clock)

    async def add(self, session: Session) -> None:
        """Insert a session."""
        await self._connection.execute(ADD, session_columns(session))

    async def get(self, session_id: str) -> Session | None:
        """Return the session of exactly this id, live or not.

        To MySQL and MariaDB, texts that differ in spaces at their end are the same.
        """
        row = await self._row(select(sessions).where(sessions.c.id == session_id))
        return None if row is None or row.id != session_id else read_session(row)

    async def get_with_subject(
        self, session_id: str
    ) -> tuple[Session, str | None] | None:
        """Return the session of this id and the subject of its user."""
        row = await self._row(WITH_SUBJECT, session_id=session_id)
        return None if row is None else (read_session(row), row.subject)

    async def lock(self, session_id: str) -> Session | None:
        """Return the session, locked until the transaction ends."""
        row = await self._row(
            select(sessions).where(sessions.c.id == session_id).with_for_update()
        )
        return None if row is None else read_session(row)

    async def prolong(
        self,
        session_id: str,
        generation: int,
        rules: SessionRules,
        token_expires_at: datetime,
    ) -> bool:
        """Prolong a live session whose token is of ``generation``, and spend it.

        One statement, so of any number of simultaneous uses one alone succeeds; all
        do where the rules spend no tokens.
        """
        now = self._now()
        return await self._affects(
            ROTATE if rules.tokens_are_spent else TOUCH,
            session_id=session_id,
            spent=generation,
            now=now,
            idle_until=now + rules.idle_lifetime,
            token_until=token_expires_at,
        )

    async def set_entry(
        self, session_id: str, entry: StatusEntry, token_expires_at: datetime
    ) -> None:
        """Give a locked session a status entry, for tokens that expire then."""
        await self._connection.execute(
            update(sessions)
            .where(sessions.c.id == session_id)
            .values(token_expires_at=token_expires_at, **entry_columns(entry))
        )

    async def set_authentication(
        self, session_id: str, authentication: Authentication
    ) -> None:
        """Note how and when the user of a locked session proved who they are."""
        await self._connection.execute(
            update(sessions)
            .where(sessions.c.id == session_id)
            .values(**authentication_columns(authentication))
        )

    async def end(self, session_id: str, reason: EndReason) -> Session | None:
        """End a session and return it, None if it had ended before."""
        session = await self.lock(session_id)
        if session is None or session.ended_at is not None:
            return None
        now = self._now()
        await self._end([session], reason, now)
        await self._tokens.revoke_of_session(session_id, now)
        return session

    async def end_all(
        self, user_id: int, reason: EndReason, *, but: str | None = None
    ) -> int:
        """End a user's sessions, all or all ``but`` one; return how many."""
        now = self._now()
        found = await self._lock_unended(user_id, now)
        ending = [session for session in found if session.id != but]
        await self._end(ending, reason, now)
        await self._tokens.revoke_of_user(user_id, now, but_session=but)
        return sum(session.is_live(now) for session in ending)

    async def end_surplus(self, user_id: int, most: int) -> int:
        """End some of a locked user's sessions beyond so many, least recently used.

        Return how many.
        """
        now = self._now()
        found = await self._connection.scalars(
            _SURPLUS, {"user_id": user_id, "now": now, "most": most}
        )
        if not (surplus := found.all()):
            return 0
        rows = await self._connection.execute(
            select(sessions)
            .where(sessions.c.id.in_(surplus), sessions.c.ended_at.is_(None))
            .with_for_update()
        )
        ending = [read_session(row) for row in rows]
        await self._end(ending, EndReason.TOO_MANY, now)
        for session in ending:
            if session.entry is None or session.entry.list_number is not None:
                await self._tokens.revoke_of_session(session.id, now)
        return len(ending)

    async def renew_entries(self, user_id: int) -> None:
        """Revoke all tokens of a user, whose sessions go on.

        Each gets a new entry at its next refresh.
        """
        now = self._now()
        found = await self._lock_unended(user_id, now)
        await self._set(found, status_list=null(), status_idx=null())
        await self._revoke(found, now)
        await self._tokens.revoke_of_user(user_id, now)

    async def live(self, user_id: int, limit: int) -> list[Session]:
        """Return a user's live sessions, the latest used first."""
        now = self._now()
        rows = await self._connection.execute(
            select(sessions)
            .where(unended(user_id, now), sessions.c.expires_at > now)
            .order_by(sessions.c.idle_expires_at.desc())
            .limit(limit)
        )
        found = (read_session(row) for row in rows)
        return sorted(found, key=lambda each: each.rotated_at, reverse=True)

    async def all_of(self, user_id: int) -> list[Session]:
        """Return a user's newest sessions, those that have ended included."""
        rows = await self._connection.execute(
            select(sessions)
            .where(sessions.c.user_id == user_id)
            .order_by(sessions.c.created_at.desc())
            .limit(BATCH)
        )
        return [read_session(row) for row in rows]

    async def _lock_unended(self, user_id: int, now: datetime) -> list[Session]:
        """Lock the sessions of a user that live, or of which a token may live."""
        rows = await self._connection.execute(
            select(sessions)
            .where(unended(user_id, now - _LONGEST_TOKEN))
            .with_for_update()
        )
        return [read_session(row) for row in rows]

    async def _end(
        self, ending: Sequence[Session], reason: EndReason, now: datetime
    ) -> None:
        await self._set(ending, ended_at=now, end_reason=reason)
        await self._revoke(ending, now)

    async def _set(self, which: Sequence[Session], **values: Any) -> None:  # noqa: ANN401 - columns
        for start in range(0, len(which), BATCH):
            ids = [session.id for session in which[start : start + BATCH]]
            await self._connection.execute(
                update(sessions).where(sessions.c.id.in_(ids)).values(**values)
            )

    async def _revoke(self, which: Sequence[Session], now: datetime) -> None:
        await self._lists.revoke(
            (session.entry, session.token_expires_at)
            for session in which
            if session.entry is not None
            and session.token_expires_at is not None
            and session.token_expires_at + KEPT_EXPIRED > now
        )
