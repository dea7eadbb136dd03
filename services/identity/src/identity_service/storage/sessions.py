"""Sessions in the database. Ending one revokes its access tokens."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Row,
    and_,
    bindparam,
    case,
    func,
    insert,
    null,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from identity_service.domain.authentication import Authentication, Method
from identity_service.domain.sessions import EndReason, Session, SessionRules
from identity_service.domain.status_entries import KEPT_EXPIRED, StatusEntry
from identity_service.storage.access_tokens import AccessTokenRepository
from identity_service.storage.status_lists import StatusListRepository
from identity_service.storage.tables import Moment, sessions, users

_KNOWN: Final = frozenset(Method)

BATCH: Final = 1000
"""Sessions ended by one statement. No user has as many live ones, unless a version
that knew no limit let them."""

_LONGEST_TOKEN: Final = timedelta(days=1)
"""An access token may outlive its session by as much: it has to be revoked, too."""

_ADD: Final = insert(sessions)
"""Built once: it runs at each sign-in."""

_COLUMNS: Final = tuple(
    name for name in Session.__slots__ if name not in {"entry", "authentication"}
)

AUTHENTICATED_AT: Final[ColumnElement[datetime]] = func.coalesce(
    sessions.c.authenticated_at, sessions.c.created_at, type_=Moment()
)


class SessionRepository:
    """Sessions, within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._lists = StatusListRepository(connection)
        self._tokens = AccessTokenRepository(connection)

    async def add(self, session: Session) -> None:
        """Insert a session."""
        await self._connection.execute(
            _ADD,
            {name: getattr(session, name) for name in _COLUMNS}
            | _entry_columns(session.entry)
            | _authentication_columns(session.authentication),
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

    async def get_with_subject(
        self, session_id: str
    ) -> tuple[Session, str | None] | None:
        """Return the session of this id and the subject of its user."""
        rows = await self._connection.execute(_WITH_SUBJECT, {"session_id": session_id})
        row = rows.one_or_none()
        return None if row is None else (_session(row), row.subject)

    async def lock(self, session_id: str) -> Session | None:
        """Return the session, and keep others from changing it until the end."""
        rows = await self._connection.execute(
            select(sessions).where(sessions.c.id == session_id).with_for_update()
        )
        row = rows.one_or_none()
        return None if row is None else _session(row)

    async def rotate(
        self,
        session_id: str,
        generation: int,
        now: datetime,
        rules: SessionRules,
        token_expires_at: datetime,
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
                "token_until": token_expires_at,
            },
        )
        return rotated.rowcount == 1

    async def touch(
        self,
        session_id: str,
        generation: int,
        now: datetime,
        rules: SessionRules,
        token_expires_at: datetime,
    ) -> bool:
        """Prolong a live session whose token is of ``generation``; spend nothing."""
        touched = await self._connection.execute(
            _TOUCH,
            {
                "session_id": session_id,
                "spent": generation,
                "now": now,
                "idle_until": now + rules.idle_lifetime,
                "token_until": token_expires_at,
            },
        )
        return touched.rowcount == 1

    async def set_entry(
        self, session_id: str, entry: StatusEntry, token_expires_at: datetime
    ) -> None:
        """Give a locked session a status entry, for tokens that expire then."""
        await self._connection.execute(
            update(sessions)
            .where(sessions.c.id == session_id)
            .values(token_expires_at=token_expires_at, **_entry_columns(entry))
        )

    async def set_authentication(
        self, session_id: str, authentication: Authentication
    ) -> None:
        """Note how and when the user of a locked session proved who they are."""
        await self._connection.execute(
            update(sessions)
            .where(sessions.c.id == session_id)
            .values(**_authentication_columns(authentication))
        )

    async def end(
        self, session_id: str, reason: EndReason, now: datetime
    ) -> Session | None:
        """End a session and return it, None if it had ended before."""
        session = await self.lock(session_id)
        if session is None or session.ended_at is not None:
            return None
        await self._end([session], reason, now)
        await self._tokens.revoke_of_session(session_id, now)
        return session

    async def end_all(
        self, user_id: int, reason: EndReason, now: datetime, *, but: str | None = None
    ) -> int:
        """End a user's sessions, all or all ``but`` one; return how many."""
        found = await self._lock_unended(user_id, now)
        ending = [session for session in found if session.id != but]
        await self._end(ending, reason, now)
        await self._tokens.revoke_of_user(user_id, now, but_session=but)
        return sum(session.is_live(now) for session in ending)

    async def end_surplus(self, user_id: int, most: int, now: datetime) -> int:
        """End some of a locked user's sessions beyond so many, least recently used.

        Return how many.
        """
        found = await self._connection.scalars(
            select(sessions.c.id)
            .where(_unended(user_id, now))
            .order_by(sessions.c.idle_expires_at.desc())
            .limit(BATCH)
            .offset(most)
        )
        if not (surplus := found.all()):
            return 0
        rows = await self._connection.execute(
            select(sessions)
            .where(sessions.c.id.in_(surplus), sessions.c.ended_at.is_(None))
            .with_for_update()
        )
        ending = [_session(row) for row in rows]
        await self._end(ending, EndReason.TOO_MANY, now)
        for session in ending:
            if session.entry is None or session.entry.list_number is not None:
                await self._tokens.revoke_of_session(session.id, now)
        return len(ending)

    async def renew_entries(self, user_id: int, now: datetime) -> None:
        """Revoke all tokens of a user, whose sessions go on.

        Each gets a new entry at its next refresh.
        """
        found = await self._lock_unended(user_id, now)
        await self._set(found, status_list=null(), status_idx=null())
        await self._revoke(found, now)
        await self._tokens.revoke_of_user(user_id, now)

    async def live(self, user_id: int, now: datetime, limit: int) -> list[Session]:
        """Return a user's live sessions, the latest used first."""
        rows = await self._connection.execute(
            select(sessions)
            .where(_unended(user_id, now), sessions.c.expires_at > now)
            .order_by(sessions.c.idle_expires_at.desc())
            .limit(limit)
        )
        found = (_session(row) for row in rows)
        return sorted(found, key=lambda each: each.rotated_at, reverse=True)

    async def all_of(self, user_id: int) -> list[Session]:
        """Return a user's newest sessions, those that have ended included."""
        rows = await self._connection.execute(
            select(sessions)
            .where(sessions.c.user_id == user_id)
            .order_by(sessions.c.created_at.desc())
            .limit(BATCH)
        )
        return [_session(row) for row in rows]

    async def _lock_unended(self, user_id: int, now: datetime) -> list[Session]:
        """Lock the sessions of a user that live, or of which a token may live."""
        rows = await self._connection.execute(
            select(sessions)
            .where(_unended(user_id, now - _LONGEST_TOKEN))
            .with_for_update()
        )
        return [_session(row) for row in rows]

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


def _unended(
    user_id: int, now: datetime | BindParameter[datetime]
) -> ColumnElement[bool]:
    """Return the condition that one index answers: no row that is over is touched."""
    return and_(
        sessions.c.user_id == user_id,
        sessions.c.ended_at.is_(None),
        sessions.c.idle_expires_at > now,
    )


_NOW: Final = bindparam("now", type_=Moment())
_ALIVE: Final = and_(
    sessions.c.id == bindparam("session_id"),
    sessions.c.ended_at.is_(None),
    sessions.c.idle_expires_at > _NOW,
    sessions.c.expires_at > _NOW,
)


def _later(column: ColumnElement[Any], name: str) -> ColumnElement[Any]:
    new = bindparam(name, type_=Moment())
    return case((column > new, column), else_=new)


def _earlier(column: ColumnElement[Any], name: str) -> ColumnElement[Any]:
    new = bindparam(name, type_=Moment())
    return case((column < new, column), else_=new)


_PROLONG: Final = (
    update(sessions)
    .where(_ALIVE)
    .values(
        rotated_at=_NOW,
        idle_expires_at=_earlier(sessions.c.expires_at, "idle_until"),
        token_expires_at=_later(sessions.c.token_expires_at, "token_until"),
    )
)
_SPENT: Final[BindParameter[int]] = bindparam("spent")
_ROTATE: Final = _PROLONG.where(sessions.c.generation == _SPENT).values(
    generation=sessions.c.generation + 1
)
_TOUCH: Final = _PROLONG.where(sessions.c.generation == _SPENT)
_WITH_SUBJECT: Final = (
    select(sessions, users.c.subject)
    .select_from(sessions.join(users, users.c.id == sessions.c.user_id))
    .where(sessions.c.id == bindparam("session_id"))
)
"""Built once: they run at each refresh, or each request that names a user."""


def _entry_columns(entry: StatusEntry | None) -> dict[str, str | int | None]:
    name, idx = entry or (None, None)
    return {"status_list": name, "status_idx": idx}


def _authentication_columns(authentication: Authentication) -> dict[str, object]:
    return {
        "authenticated_at": authentication.at,
        "methods": " ".join(sorted(authentication.methods)),
    }


def _session(row: Row[Any]) -> Session:
    return Session(
        **{name: getattr(row, name) for name in _COLUMNS},
        entry=read_entry(row),
        authentication=read_authentication(
            row.authenticated_at or row.created_at, row.methods
        ),
    )


def read_authentication(at: datetime, methods: str | None) -> Authentication:
    """Return what a row of sessions says; a later version may know further methods."""
    names = _KNOWN.intersection((methods or Method.PASSWORD).split())
    return Authentication(at, frozenset(map(Method, names)))


def read_entry(row: Row[Any]) -> StatusEntry | None:
    """Return the status entry of a row of sessions."""
    if row.status_list is None:
        return None
    return StatusEntry(row.status_list, row.status_idx)
