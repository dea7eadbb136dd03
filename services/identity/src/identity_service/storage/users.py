"""Users and their roles in the database."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from identity_service.domain.emails import EmailAddress
from identity_service.domain.errors import (
    EmailTakenError,
    UnknownRoleError,
    UsernameTakenError,
)
from identity_service.domain.roles import ADMIN, RoleName
from identity_service.domain.usernames import Username
from identity_service.domain.users import NewUser, User
from identity_service.storage.tables import roles, sessions, user_roles, users


class UserRepository:
    """Users, within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, user_id: int) -> User | None:
        """Return the user of this id."""
        rows = await self._connection.execute(_BY_ID, {"user_id": user_id})
        return next(iter(_grouped(rows.all())), None)

    async def get_by_username_key(self, key: str) -> User | None:
        """Return the user whose name looks like this."""
        return await self._only(_users_with_roles().where(users.c.username_key == key))

    async def get_by_session(self, session_id: str) -> User | None:
        """Return the user that a session is of."""
        rows = await self._connection.execute(_BY_SESSION, {"session_id": session_id})
        return next(iter(_grouped(rows.all())), None)

    async def get_by_username_key_and_address(
        self, key: str, address: str
    ) -> tuple[User | None, bool]:
        """Return the user, and whether it signed in from this address before.

        One statement, so that a user that is there takes no longer than none.
        """
        rows = await self._connection.execute(
            _BY_KEY_AND_ADDRESS, {"key": key, "from_address": address}
        )
        found = rows.all()
        return next(iter(_grouped(found)), None), any(row.is_known for row in found)

    async def lock(self, user_id: int) -> User | None:
        """Return the user, and keep others from changing it until the end.

        Whoever locks a user does so before touching the user's sessions and tokens.
        """
        await self._connection.execute(_LOCK, {"user_id": user_id})
        return await self.get(user_id)

    async def refuse_taken(
        self, username_key: str, email_key: str, *, other_than: int = 0
    ) -> None:
        """Raise `UsernameTakenError`, else `EmailTakenError`, where there is cause."""
        by_name = users.c.username_key == username_key
        found = await self._connection.scalars(
            select(by_name).where(
                or_(by_name, users.c.email_key == email_key), users.c.id != other_than
            )
        )
        matches = found.all()
        if any(matches):
            raise UsernameTakenError
        if matches:
            raise EmailTakenError

    async def add(self, user: NewUser) -> int:
        """Insert a user with its roles and return its id.

        Raises
        ------
        UsernameTakenError, EmailTakenError
            As the unique indexes decide, whoever else tries at the same time.
        UnknownRoleError
            A role has been removed meanwhile.
        """
        values: dict[str, object] = {
            "username": user.username.text,
            "username_key": user.username.key,
            "email": user.email.text,
            "email_key": user.email.key,
            "password_hash": user.password_hash,
            "password_is_temporary": user.password_is_temporary,
            "password_changed_at": user.created_at,
            "created_at": user.created_at,
            "updated_at": user.created_at,
        }
        if user.id is not None:
            values["id"] = user.id
        try:
            inserted = await self._connection.execute(insert(users).values(values))
        except IntegrityError:
            await self.refuse_taken(user.username.key, user.email.key)
            raise
        user_id = int(inserted.lastrowid) if user.id is None else user.id
        await self._add_roles(user_id, user.roles)
        return user_id

    async def rename(
        self, user_id: int, username: Username, email: EmailAddress, now: datetime
    ) -> None:
        """Set a user's name and address.

        Raises
        ------
        UsernameTakenError, EmailTakenError
        """
        try:
            await self._set(
                users.c.id == user_id,
                username=username.text,
                username_key=username.key,
                email=email.text,
                email_key=email.key,
                updated_at=now,
            )
        except IntegrityError:
            await self.refuse_taken(username.key, email.key, other_than=user_id)
            raise

    async def set_password(
        self, user_id: int, password_hash: str, now: datetime, *, temporary: bool
    ) -> None:
        """Set a user's password."""
        await self._set(
            users.c.id == user_id,
            password_hash=password_hash,
            password_is_temporary=temporary,
            password_changed_at=now,
            updated_at=now,
        )

    async def set_disabled_at(
        self, user_id: int, disabled_at: datetime | None, now: datetime
    ) -> None:
        """Disable a user, or enable it with None."""
        await self._set(users.c.id == user_id, disabled_at=disabled_at, updated_at=now)

    async def upgrade_password_hash(self, user_id: int, old: str, new: str) -> None:
        """Replace a hash of the same password, unless the password was changed."""
        await self._set(
            and_(users.c.id == user_id, users.c.password_hash == old),
            password_hash=new,
        )

    async def set_roles(self, user_id: int, wanted: AbstractSet[RoleName]) -> None:
        """Give a user exactly these roles.

        Raises
        ------
        UnknownRoleError
        """
        await self._connection.execute(
            delete(user_roles).where(user_roles.c.user_id == user_id)
        )
        await self._add_roles(user_id, wanted)

    async def delete(self, user_id: int) -> None:
        """Remove a user; its roles and sessions go with it."""
        await self._connection.execute(delete(users).where(users.c.id == user_id))

    async def page(self, search: str, after_id: int, limit: int) -> list[User]:
        """Return users in order of id; ``search`` is part of a name or address."""
        ids = select(users.c.id).where(users.c.id > after_id).order_by(users.c.id)
        if search:
            ids = ids.where(
                or_(
                    users.c.username_key.contains(search, autoescape=True),
                    users.c.email_key.contains(search, autoescape=True),
                )
            )
        found = await self._connection.scalars(ids.limit(limit))
        rows = await self._connection.execute(
            _users_with_roles().where(users.c.id.in_(found.all()))
        )
        return _grouped(rows.all())

    async def count_active_admins(self) -> int:
        """Return how many users may administer others."""
        count = await self._connection.scalar(
            select(func.count())
            .select_from(users.join(user_roles).join(roles))
            .where(roles.c.name == ADMIN, users.c.disabled_at.is_(None))
        )
        return int(count or 0)

    async def _only(self, statement: Select[Any]) -> User | None:
        rows = await self._connection.execute(statement)
        return next(iter(_grouped(rows.all())), None)

    async def _set(self, which: ColumnElement[bool], **values: object) -> None:
        await self._connection.execute(update(users).where(which).values(**values))

    async def _add_roles(self, user_id: int, wanted: AbstractSet[RoleName]) -> None:
        """Give a user these roles; the foreign key decides if one is removed."""
        adding = insert(user_roles).from_select(
            ["user_id", "role_id"],
            select(literal(user_id), roles.c.id).where(
                roles.c.name.in_(sorted(wanted))
            ),
        )
        try:
            added = (await self._connection.execute(adding)).rowcount
        except IntegrityError:
            added = 0
        if added < len(wanted):
            present = await self._connection.scalars(select(roles.c.name))
            raise UnknownRoleError(min(wanted - set(present), default=""))


def _users_with_roles() -> Select[Any]:
    """Return a query with one row for each role of a user, or one without.

    Users come in order of id, and so do the roles of each.
    """
    return (
        select(users, roles.c.name.label("role"))
        .select_from(users.outerjoin(user_roles).outerjoin(roles))
        .order_by(users.c.id, roles.c.id)
    )


_USER_ID: Final = users.c.id == bindparam("user_id")
_BY_ID: Final = _users_with_roles().where(_USER_ID)
_LOCK: Final = select(users.c.id).where(_USER_ID).with_for_update()
_BY_KEY_AND_ADDRESS: Final = (
    _users_with_roles()
    .add_columns(
        exists()
        .where(
            sessions.c.user_id == users.c.id,
            sessions.c.address == bindparam("from_address"),
        )
        .label("is_known")
    )
    .where(users.c.username_key == bindparam("key"))
)
_BY_SESSION: Final = (
    _users_with_roles()
    .join(sessions, sessions.c.user_id == users.c.id)
    .where(sessions.c.id == bindparam("session_id"))
)
"""Built once: they run at each sign-in or refresh."""


def _grouped(rows: Sequence[Row[Any]]) -> list[User]:
    """Return the users of rows that are in order of id."""
    found = []
    for _, of_one in groupby(rows, key=lambda row: row.id):
        first, *others = of_one
        found.append(
            User(
                id=first.id,
                username=first.username,
                username_key=first.username_key,
                email=first.email,
                email_key=first.email_key,
                password_hash=first.password_hash,
                password_is_temporary=first.password_is_temporary,
                password_changed_at=first.password_changed_at,
                roles=tuple(
                    RoleName(row.role)
                    for row in (first, *others)
                    if row.role is not None
                ),
                disabled_at=first.disabled_at,
                created_at=first.created_at,
                updated_at=first.updated_at,
            )
        )
    return found
