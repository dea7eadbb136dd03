"""Users and their roles in the database."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from identity_service.domain.accounts.emails import EmailAddress
from identity_service.domain.accounts.roles import ADMIN, RoleName
from identity_service.domain.accounts.usernames import Username
from identity_service.domain.accounts.users import NewUser, User, new_subject
from identity_service.domain.errors import (
    EmailTakenError,
    UnknownRoleError,
    UsernameTakenError,
    UserNotFoundError,
)
from identity_service.domain.sessions.authentication import Authentication
from identity_service.domain.sessions.status_entries import StatusEntry
from identity_service.storage.mail.one_time_tokens import OneTimeTokenRepository
from identity_service.storage.repository import Repository
from identity_service.storage.sessions.queries import read_authentication, read_entry
from identity_service.storage.tables import deleted_users, roles, user_roles, users
from identity_service.storage.users.pending_sign_ups import PendingSignUpRepository
from identity_service.storage.users.queries import (
    BY_ID,
    BY_SESSION,
    LOCK,
    read_users,
    user_columns,
    users_with_roles,
)
from identity_service.storage.users.search_words import SearchWordRepository
from service_kit.clock import Clock


class UserRepository(Repository):
    """Users, within one transaction."""

    def __init__(self, connection: AsyncConnection, clock: Clock) -> None:
        super().__init__(connection, clock)
        self._search_words = SearchWordRepository(connection, clock)
        self._tokens = OneTimeTokenRepository(connection, clock)
        self._pending = PendingSignUpRepository(connection, clock)

    async def get(self, user_id: int) -> User | None:
        """Return the user of this id."""
        return await self._one(BY_ID, user_id=user_id)

    async def get_existing(self, user_id: int) -> User:
        """Return the user of this id, or raise `UserNotFoundError`."""
        return _existing(await self.get(user_id))

    async def get_by_username_key(self, key: str) -> User | None:
        """Return the user whose name looks like this."""
        return await self._one(users_with_roles().where(users.c.username_key == key))

    async def get_by_email_key(self, key: str) -> User | None:
        """Return the user who has this address."""
        return await self._one(users_with_roles().where(users.c.email_key == key))

    async def get_by_session(
        self, session_id: str
    ) -> tuple[User, StatusEntry | None, Authentication] | None:
        """Return a session's user, status entry and authentication."""
        rows = await self._connection.execute(BY_SESSION, {"session_id": session_id})
        found = rows.all()
        if not found:
            return None
        row = found[0]
        authentication = read_authentication(row.authenticated_at, row.methods)
        return read_users(found)[0], read_entry(row), authentication

    async def give_subject(self, user_id: int) -> User | None:
        """Return the user, after giving them a subject if they had none."""
        await self.lock(user_id)
        await self._set(
            and_(users.c.id == user_id, users.c.subject.is_(None)),
            subject=new_subject(),
        )
        return await self.get(user_id)

    async def lock(self, user_id: int) -> User | None:
        """Return the user, locked until the transaction ends.

        Lock a user before touching the user's sessions and tokens.
        """
        await self._connection.execute(LOCK, {"user_id": user_id})
        return await self.get(user_id)

    async def lock_existing(self, user_id: int) -> User:
        """Return the user as `lock` does, or raise `UserNotFoundError`."""
        return _existing(await self.lock(user_id))

    async def refuse_taken(
        self, username_key: str, email_key: str, *, other_than: int = 0
    ) -> None:
        """Raise `UsernameTakenError` or `EmailTakenError` if another user has one."""
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

        Raises `UsernameTakenError`, `EmailTakenError`: the unique indexes decide
        between concurrent attempts, and a name is also taken while a sign-up with it
        may be verified, an address while its owner may restore it to another account;
        `UnknownRoleError`: a role has been removed meanwhile.
        """
        try:
            inserted = await self._connection.execute(
                insert(users).values(user_columns(user))
            )
        except IntegrityError:
            await self.refuse_taken(user.username.key, user.email.key)
            raise
        user_id = int(inserted.lastrowid) if user.id is None else user.id
        try:
            await self._pending.refuse_reserved(user.username.key)
            await self._tokens.refuse_reserved(user.email.key, other_than=user_id)
        except (UsernameTakenError, EmailTakenError):
            await self._connection.execute(delete(users).where(users.c.id == user_id))
            raise
        await self._search_words.put(user_id, user.username.text, user.email.text)
        await self._add_roles(user_id, user.roles)
        return user_id

    async def rename(
        self,
        user: User,
        username: Username,
        email: EmailAddress,
        *,
        email_verified_at: datetime | None,
    ) -> None:
        """Set a locked user's name and address, and when that was verified.

        Raises `UsernameTakenError`, `EmailTakenError`: see `add`.
        """
        try:
            await self._set(
                users.c.id == user.id,
                username=username.text,
                username_key=username.key,
                email=email.text,
                email_key=email.key,
                email_verified_at=email_verified_at,
                updated_at=self._now(),
            )
        except IntegrityError:
            await self.refuse_taken(username.key, email.key, other_than=user.id)
            raise
        if username.key != user.username_key:
            await self._pending.refuse_reserved(username.key)
        await self._tokens.refuse_reserved(email.key, other_than=user.id)
        await self._search_words.put(user.id, username.text, email.text)

    async def set_password(
        self, user_id: int, password_hash: str, *, temporary: bool
    ) -> None:
        """Set a user's password."""
        now = self._now()
        await self._set(
            users.c.id == user_id,
            password_hash=password_hash,
            password_is_temporary=temporary,
            password_changed_at=now,
            updated_at=now,
        )

    async def set_email_verified(self, user_id: int, email_key: str) -> bool:
        """Mark an address as verified; return False if the user no longer has it."""
        now = self._now()
        return await self._affects(
            update(users)
            .where(users.c.id == user_id, users.c.email_key == email_key)
            .values(email_verified_at=now, updated_at=now)
        )

    async def set_disabled(self, user_id: int, *, disabled: bool) -> None:
        """Disable a user, or enable it."""
        now = self._now()
        await self._set(
            users.c.id == user_id,
            disabled_at=now if disabled else None,
            updated_at=now,
        )

    async def set_deletion_due_at(self, user_id: int, due_at: datetime | None) -> None:
        """Schedule a user's deletion, or cancel it with None."""
        await self._set(
            users.c.id == user_id, deletion_due_at=due_at, updated_at=self._now()
        )

    async def due_for_deletion(self) -> int | None:
        """Return the user who has been due for deletion for longest."""
        found = await self._connection.scalar(
            select(users.c.id)
            .where(users.c.deletion_due_at <= self._now())
            .order_by(users.c.deletion_due_at)
            .limit(1)
        )
        return None if found is None else int(found)

    async def upgrade_password_hash(self, user_id: int, old: str, new: str) -> None:
        """Replace a hash of the same password, unless the password was changed."""
        has_it = and_(users.c.id == user_id, users.c.password_hash == old)
        await self._set(has_it, password_hash=new)

    async def set_roles(self, user_id: int, wanted: AbstractSet[RoleName]) -> None:
        """Give a user exactly these roles, or raise `UnknownRoleError`."""
        await self._connection.execute(
            delete(user_roles).where(user_roles.c.user_id == user_id)
        )
        await self._add_roles(user_id, wanted)

    async def delete(self, user_id: int) -> None:
        """Remove a user with its roles; its sessions, which have ended, go later."""
        await self._connection.execute(insert(deleted_users).values(user_id=user_id))
        await self._connection.execute(delete(users).where(users.c.id == user_id))

    async def page(self, search: str, after_id: int, limit: int) -> list[User]:
        """Return users in order of id; ``search`` begins a word of each."""
        ids: Sequence[int]
        if search:
            ids = await self._search_words.find(search, after_id, limit)
        else:
            wanted = select(users.c.id).where(users.c.id > after_id)
            found = await self._connection.scalars(
                wanted.order_by(users.c.id).limit(limit)
            )
            ids = found.all()
        rows = await self._connection.execute(
            users_with_roles().where(users.c.id.in_(ids))
        )
        return read_users(rows.all())

    async def count_active_admins(self) -> int:
        """Return how many enabled administrators there are."""
        count = await self._connection.scalar(
            select(func.count())
            .select_from(users.join(user_roles).join(roles))
            .where(roles.c.name == ADMIN, users.c.disabled_at.is_(None))
        )
        return int(count or 0)

    async def _one(self, statement: Select[Any], **values: object) -> User | None:
        rows = await self._connection.execute(statement, values)
        return next(iter(read_users(rows.all())), None)

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
            added = await self._affected(adding)
        except IntegrityError:
            added = 0
        if added < len(wanted):
            present = await self._connection.scalars(select(roles.c.name))
            raise UnknownRoleError(min(wanted - set(present), default=""))


def _existing(user: User | None) -> User:
    if user is None:
        raise UserNotFoundError
    return user
