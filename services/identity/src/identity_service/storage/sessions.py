"""Sessions in the database."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Row,
    Update,
    and_,
    bindparam,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from identity_service.domain.sessions import EndReason, Session, SessionRules
from identity_service.storage.tables import Moment, sessions

_ADD: Final = insert(sessions)
"""Built once: it runs at each sign-in."""


class SessionRepository:
    """Sessions, within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, session: Session) -> None:
        """Insert a session."""
        await self._connection.execute(
            _ADD, {name: getattr(session, name) for name in Session.__slots__}
        )

    async def get(self, session_id: str) -> Session | None:
        """Return the session of exactly this id, live or not.

        To MySQL and MariaDB, texts that differ in spaces at their end are the same.
        """
        rows = await self._connection.execute(
            select(sessions).where(sessions.c.id == session_id)
        )
        row = rows.one_or_none()
        return None if row is None or row.id != session_id else _session(row)

    async def lock(self, session_id: str) -> Session | None:
        """Return the session, and keep others from changing it until the end."""
        rows = await self._connection.execute(
            select(sessions).where(sessions.c.id == session_id).with_for_update()
        )
        row = rows.one_or_none()
        return None if row is None else _session(row)

    async def rotate(
        self, session_id: str, generation: int, now: datetime, rules: SessionRules
    ) -> bool:
        """Spend the token of ``generation`` if it is current and the session lives.

        One statement, so of any number of simultaneous uses one alone succeeds.
        """
        rotated = await self._connection.execute(
            _ROTATE,
            {
                "session_id": session_id,
                "spent": generation,
                "now": now,
                "idle_until": now + rules.idle_lifetime,
            },
        )
        return rotated.rowcount == 1

    async def touch(
        self, session_id: str, generation: int, now: datetime, rules: SessionRules
    ) -> bool:
        """Prolong a live session whose token is of ``generation``; spend nothing."""
        touched = await self._connection.execute(
            update(sessions)
            .where(
                sessions.c.id == session_id,
                sessions.c.generation == generation,
                _alive(now),
            )
            .values(rotated_at=now, idle_expires_at=now + rules.idle_lifetime)
        )
        return touched.rowcount == 1

    async def end(self, session_id: str, reason: EndReason, now: datetime) -> bool:
        """End a session; return whether it had not ended before."""
        ended = await self._connection.execute(
            _ended(reason, now).where(sessions.c.id == session_id)
        )
        return ended.rowcount == 1

    async def end_all(
        self, user_id: int, reason: EndReason, now: datetime, *, but: str | None = None
    ) -> int:
        """End a user's sessions, all or all ``but`` one; return how many."""
        statement = _ended(reason, now).where(sessions.c.user_id == user_id)
        if but is not None:
            statement = statement.where(sessions.c.id != but)
        ended = await self._connection.execute(statement)
        return ended.rowcount

    async def lock_all(self, user_id: int) -> None:
        """Let no session of the user be refreshed until the end of the transaction."""
        await self._connection.execute(
            select(sessions.c.id).where(sessions.c.user_id == user_id).with_for_update()
        )

    async def live(self, user_id: int, now: datetime) -> list[Session]:
        """Return a user's live sessions, the latest used first."""
        rows = await self._connection.execute(
            select(sessions)
            .where(sessions.c.user_id == user_id, _alive(now))
            .order_by(sessions.c.rotated_at.desc(), sessions.c.id)
        )
        return [_session(row) for row in rows]

    async def prune(self, expired_before: datetime, limit: int) -> int:
        """Delete up to ``limit`` sessions; return how many.

        Rows that another replica is pruning are left to it.
        """
        ids = await self._connection.scalars(
            select(sessions.c.id)
            .where(sessions.c.expires_at < expired_before)
            .order_by(sessions.c.expires_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        pruned = await self._connection.execute(
            delete(sessions).where(sessions.c.id.in_(ids.all()))
        )
        return pruned.rowcount


def _alive(now: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
    return and_(
        sessions.c.ended_at.is_(None),
        sessions.c.idle_expires_at > now,
        sessions.c.expires_at > now,
    )


_NOW: Final = bindparam("now", type_=Moment())

_ROTATE: Final = (
    update(sessions)
    .where(
        sessions.c.id == bindparam("session_id"),
        sessions.c.generation == bindparam("spent"),
        _alive(_NOW),
    )
    .values(
        generation=sessions.c.generation + 1,
        rotated_at=_NOW,
        idle_expires_at=bindparam("idle_until", type_=Moment()),
    )
)
"""Built once: it runs at each refresh."""


def _ended(reason: EndReason, now: datetime) -> Update:
    return (
        update(sessions)
        .where(sessions.c.ended_at.is_(None))
        .values(ended_at=now, end_reason=reason)
    )


def _session(row: Row[Any]) -> Session:
    return Session(**{name: getattr(row, name) for name in Session.__slots__})
