"""Show, change and delete users."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

from identity_service.domain.accounts.emails import EmailAddress
from identity_service.domain.accounts.roles import ADMIN, existing_roles
from identity_service.domain.accounts.usernames import Username
from identity_service.domain.accounts.users import NewUser, User, refuse_foreign_address
from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.errors import LastAdminError
from identity_service.domain.mail import MailKind
from identity_service.domain.sessions.sessions import Caller, Device, EndReason
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.usecases.limits.throttling import Throttle
from identity_service.usecases.mail.one_time_tokens import OneTimeTokens
from identity_service.usecases.sessions.callers import require_admin, require_session


@dataclass(frozen=True, slots=True, kw_only=True)
class UserChanges:
    """What is to become of a user; None leaves it as it is."""

    username: Username | None = None
    email: EmailAddress | None = None
    disabled: bool | None = None

    def to(self, user: User) -> Self:
        """Return the changes without an address that the user has anyway."""
        is_same = self.email is not None and self.email.text == user.email
        return replace(self, email=None) if is_same else self


@dataclass(frozen=True, slots=True)
class Users:
    """All users. The handlers decide who is an administrator."""

    database: Database
    tokens: OneTimeTokens
    throttle: Throttle

    async def page(self, search: str, after_id: int, limit: int) -> list[User]:
        """Return users in order of id; ``search`` begins a word of name or address."""
        return await self.database.read(
            lambda unit: unit.users.page(search, after_id, limit)
        )

    async def get(self, user_id: int) -> User:
        """Return a user, or raise `UserNotFoundError`."""
        return await self.database.read(lambda unit: unit.users.get_existing(user_id))

    async def change(self, user_id: int, changes: UserChanges, caller: Caller) -> User:
        """Change a user and return it; disabling ends its sessions.

        A new address is announced to the old one, by a mail with a link that undoes it.

        Raises `UserNotFoundError`, `UsernameTakenError`, `EmailTakenError`,
        `LastAdminError`, `FormerAdminError`; `TooManyAttemptsError`: they change
        themselves, and have done so too often.
        """
        if user_id == caller.user_id:
            await self.throttle.reserve_change(user_id)
            await self._reserve_letter(changes, caller)

        async def work(unit: Repositories) -> User:
            if user_id != caller.user_id or changes.disabled is not None:
                await require_admin(unit, caller)
            user = await unit.users.lock_existing(user_id)
            if user_id == caller.user_id:
                await require_session(unit, caller)
            await self._rename(unit, user, changes, caller)
            await self._set_disabled(unit, user, changes, caller)
            return await unit.users.lock_existing(user_id)

        return await self.database.write(work)

    async def set_roles(
        self, user_id: int, names: Iterable[str], caller: Caller
    ) -> User:
        """Give a user exactly these roles; tokens with other ones are revoked.

        Its sessions go on: their next refresh brings the new roles.

        Raises `UnknownRoleError`, `UserNotFoundError`, `LastAdminError` or
        `FormerAdminError`.
        """
        wanted = tuple(names)

        async def work(unit: Repositories) -> User:
            await require_admin(unit, caller)
            roles = existing_roles(wanted, await unit.roles.names())
            user = await unit.users.lock_existing(user_id)
            if roles == frozenset(user.roles):
                return user
            if ADMIN not in roles:
                await refuse_last_admin(unit, user)
            await unit.users.set_roles(user_id, roles)
            await unit.sessions.renew_entries(user_id)
            change = {
                "given": " ".join(sorted(roles.difference(user.roles))),
                "taken": " ".join(sorted(frozenset(user.roles) - roles)),
            }
            event = AuditEvent.by_caller(
                Action.ROLES_CHANGED, caller, user_id, **change
            )
            unit.record(event)
            return await unit.users.lock_existing(user_id)

        return await self.database.write(work)

    async def delete(self, user_id: int, caller: Caller) -> None:
        """Delete a user with its sessions; its id is never given again.

        Raises `UserNotFoundError`, `LastAdminError` or `FormerAdminError`.
        """

        async def work(unit: Repositories) -> None:
            await require_admin(unit, caller)
            user = await unit.users.lock_existing(user_id)
            await refuse_last_admin(unit, user)
            await delete_user(unit, user_id, EndReason.ENDED_BY_ADMIN)
            unit.record(AuditEvent.by_caller(Action.ACCOUNT_DELETED, caller, user_id))

        await self.database.write(work)

    async def end_sessions(self, user_id: int, caller: Caller) -> int:
        """End all sessions of a user; return how many.

        Raises `UserNotFoundError` or `FormerAdminError`.
        """

        async def work(unit: Repositories) -> int:
            await require_admin(unit, caller)
            await unit.users.lock_existing(user_id)
            reason = EndReason.ENDED_BY_ADMIN
            ended = await unit.sessions.end_all(user_id, reason)
            details = {"reason": reason.value, "sessions": ended}
            event = AuditEvent.by_caller(
                Action.SESSION_ENDED, caller, user_id, **details
            )
            unit.record(event)
            return ended

        return await self.database.write(work)

    async def _reserve_letter(self, changes: UserChanges, caller: Caller) -> None:
        """Count the letter, because the old address may be another person's."""
        if changes.email is None or not self.tokens.outbox.has_server:
            return
        before = await self.get(caller.user_id)
        if not changes.email.is_mailbox_of(before.email):
            await self.throttle.reserve_mail_to(
                MailKind.EMAIL_CHANGED, before.email_key, caller.device.address
            )

    async def _rename(
        self, unit: Repositories, user: User, changes: UserChanges, caller: Caller
    ) -> None:
        username = changes.username or user.name
        email = changes.email or user.email_address
        if (username.text, email.text) == (user.username, user.email):
            return
        refuse_foreign_address(username, email)
        is_same = email.is_mailbox_of(user.email)
        await unit.users.rename(
            user,
            username,
            email,
            email_verified_at=user.email_verified_at if is_same else None,
        )
        if not is_same:
            await self.tokens.announce_address(unit, user, email)
        changed = {
            "username": username.text != user.username,
            "email": email.text != user.email,
        }
        event = AuditEvent.by_caller(Action.ACCOUNT_CHANGED, caller, user.id, **changed)
        unit.record(event)

    async def _set_disabled(
        self, unit: Repositories, user: User, changes: UserChanges, caller: Caller
    ) -> None:
        is_disabled = user.disabled_at is not None
        if changes.disabled is None or changes.disabled == is_disabled:
            return
        if changes.disabled:
            await refuse_last_admin(unit, user)
            await unit.users.set_disabled(user.id, disabled=True)
            await unit.sessions.end_all(user.id, EndReason.ACCOUNT_DISABLED)
            await unit.one_time_tokens.remove_of_user(user.id)
            unit.record(AuditEvent.by_caller(Action.ACCOUNT_DISABLED, caller, user.id))
        else:
            await unit.users.set_disabled(user.id, disabled=False)
            unit.record(AuditEvent.by_caller(Action.ACCOUNT_ENABLED, caller, user.id))


async def add_signed_up(unit: Repositories, user: NewUser, device: Device) -> int:
    """Add a user who has signed up, and return their id."""
    user_id = await unit.users.add(user)
    event = AuditEvent.of_new_user(
        Action.SIGNED_UP, user_id, user.roles, actor_id=user_id, address=device.address
    )
    unit.record(event)
    return user_id


async def delete_user(unit: Repositories, user_id: int, reason: EndReason) -> None:
    """Delete a user with all that is theirs; their sessions end for this reason."""
    await unit.sessions.end_all(user_id, reason)
    await unit.one_time_tokens.remove_of_user(user_id)
    await unit.outbox.remove_of_user(user_id)
    await unit.users.delete(user_id)


async def refuse_last_admin(unit: Repositories, user: User) -> None:
    """Raise `LastAdminError` if this is the only administrator who can sign in.

    The caller holds the lock on the admin role.
    """
    is_admin = ADMIN in user.roles and user.disabled_at is None
    if is_admin and await unit.users.count_active_admins() <= 1:
        raise LastAdminError
