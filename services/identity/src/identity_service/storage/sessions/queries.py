"""Statements about sessions, built once, and what their rows say."""

from datetime import datetime
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
    select,
    update,
)

from identity_service.domain.sessions.authentication import Authentication, Method
from identity_service.domain.sessions.sessions import Session
from identity_service.domain.sessions.status_entries import StatusEntry
from identity_service.storage.tables import Moment, sessions, users

_KNOWN: Final = frozenset(Method)

_COLUMNS: Final = tuple(
    name for name in Session.__slots__ if name not in {"entry", "authentication"}
)

AUTHENTICATED_AT: Final[ColumnElement[datetime]] = func.coalesce(
    sessions.c.authenticated_at, sessions.c.created_at, type_=Moment()
)


def unended(
    user_id: int | BindParameter[int], now: datetime | BindParameter[datetime]
) -> ColumnElement[bool]:
    """Return the condition of unended sessions, for which one index suffices."""
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


ADD: Final = insert(sessions)

TOUCH: Final = (
    update(sessions)
    .where(_ALIVE, sessions.c.generation == bindparam("spent"))
    .values(
        rotated_at=_NOW,
        idle_expires_at=_earlier(sessions.c.expires_at, "idle_until"),
        token_expires_at=_later(sessions.c.token_expires_at, "token_until"),
    )
)
ROTATE: Final = TOUCH.values(generation=sessions.c.generation + 1)
WITH_SUBJECT: Final = (
    select(sessions, users.c.subject)
    .select_from(sessions.join(users, users.c.id == sessions.c.user_id))
    .where(sessions.c.id == bindparam("session_id"))
)
"""Built once: they run at each refresh, or each request that names a user."""


def session_columns(session: Session) -> dict[str, object]:
    """Return the columns of a session's row."""
    return {
        **{name: getattr(session, name) for name in _COLUMNS},
        **entry_columns(session.entry),
        **authentication_columns(session.authentication),
    }


def entry_columns(entry: StatusEntry | None) -> dict[str, str | int | None]:
    """Return the columns of a status entry, empty without one."""
    name, idx = entry or (None, None)
    return {"status_list": name, "status_idx": idx}


def authentication_columns(authentication: Authentication) -> dict[str, object]:
    """Return the columns that say how and when a user proved who they are."""
    return {
        "authenticated_at": authentication.at,
        "methods": " ".join(sorted(authentication.methods)),
    }


def read_session(row: Row[Any]) -> Session:
    """Return the session of a row."""
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
