"""Queries for users with their roles, and what rows of users say."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    bindparam,
    exists,
    func,
    literal,
    or_,
    select,
)

from identity_service.domain.accounts.roles import RoleName
from identity_service.domain.accounts.users import NewUser, User
from identity_service.storage.factors.factors import factors_of
from identity_service.storage.sessions.queries import AUTHENTICATED_AT
from identity_service.storage.tables import roles, sessions, user_roles, users

_COLUMNS: Final = tuple(name for name in User.__slots__ if name != "roles")


def users_with_roles() -> Select[Any]:
    """Return a query with one row for each role of a user, or one without.

    Users come in order of id, and so do the roles of each.
    """
    return (
        select(users, roles.c.name.label("role"))
        .select_from(users.outerjoin(user_roles).outerjoin(roles))
        .order_by(users.c.id, roles.c.id)
    )


_USER_ID: Final = users.c.id == bindparam("user_id")
BY_ID: Final = users_with_roles().where(_USER_ID)
LOCK: Final = select(users.c.id).where(_USER_ID).with_for_update()
_ID_OR_NONE: Final = func.coalesce(users.c.id, 0)


def _login_where(which: ColumnElement[bool]) -> Select[Any]:
    """Return a query for users, and for what a sign-in asks about them.

    Where there is none, it has one row without a user, and the database has looked for
    all the rest, so that nobody can tell by the time that it takes.
    """
    asked = select(literal(1).label("asked")).subquery()
    return (
        select(users, roles.c.name.label("role"))
        .select_from(
            asked.outerjoin(users, which)
            .outerjoin(user_roles, user_roles.c.user_id == _ID_OR_NONE)
            .outerjoin(roles, roles.c.id == user_roles.c.role_id)
        )
        .add_columns(
            exists()
            .where(
                sessions.c.user_id == _ID_OR_NONE,
                or_(
                    sessions.c.address.like(bindparam("like")),
                    sessions.c.address.like(bindparam("or_like")),
                ),
            )
            .label("is_known"),
            *factors_of(_ID_OR_NONE),
        )
        .order_by(users.c.id, roles.c.id)
    )


BY_KEY_AND_SITE: Final = _login_where(users.c.username_key == bindparam("key"))
BY_LOGIN_AND_SITE: Final = _login_where(
    or_(
        users.c.username_key == bindparam("key"),
        users.c.email_key == bindparam("email_key"),
    )
)
BY_EMAIL_AND_SITE: Final = _login_where(users.c.email_key == bindparam("key"))
BY_ID_AND_SITE: Final = _login_where(users.c.id == bindparam("key"))
BY_SESSION: Final = (
    users_with_roles()
    .add_columns(
        sessions.c.status_list,
        sessions.c.status_idx,
        AUTHENTICATED_AT.label("authenticated_at"),
        sessions.c.methods,
    )
    .join(sessions, sessions.c.user_id == users.c.id)
    .where(sessions.c.id == bindparam("session_id"))
)
"""Built once: they run at each sign-in or refresh."""


def read_users(rows: Sequence[Row[Any]]) -> list[User]:
    """Return the users of rows that are in order of id."""
    return [_user(list(of_one)) for _, of_one in groupby(rows, key=lambda row: row.id)]


def _user(rows: Sequence[Row[Any]]) -> User:
    """Return the user of rows that differ in their role alone."""
    values = {name: getattr(rows[0], name) for name in _COLUMNS}
    names = (RoleName(row.role) for row in rows if row.role is not None)
    return User(**values, roles=tuple(names))


def user_columns(user: NewUser) -> dict[str, object]:
    """Return the columns of a new user's row; without an id it gets the next one."""
    columns: dict[str, object] = {
        "username": user.username.text,
        "username_key": user.username.key,
        "email": user.email.text,
        "email_key": user.email.key,
        "password_hash": user.password_hash,
        "password_is_temporary": user.password_is_temporary,
        "password_changed_at": user.created_at,
        "created_at": user.created_at,
        "updated_at": user.created_at,
        "subject": user.subject,
        "email_verified_at": user.email_verified_at,
        "disabled_at": user.disabled_at,
        "deletion_due_at": user.deletion_due_at,
    }
    return columns if user.id is None else columns | {"id": user.id}
