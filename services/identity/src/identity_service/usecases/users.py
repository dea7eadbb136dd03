"""What is done to accounts: by administrators, and names by their owners too."""

from collections.abc import Iterable
from dataclasses import dataclass

from identity_service.domain.accounts import Account
from identity_service.domain.audit import Action, AuditEvent, Detail
from identity_service.domain.errors import AccountNotFoundError, LastAdminError
from identity_service.domain.roles import ADMIN, existing_roles
from identity_service.domain.sessions import Device, EndReason
from identity_service.domain.users import EmailAddress, Username
from identity_service.storage.repositories import Repositories
from identity_service.usecases.audit import Audit
from identity_service.usecases.ports import Database
from service_kit.clock import Clock


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something, and where he calls from."""

    user_id: int
    device: Device


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChanges:
    """What is to become of an account; None leaves it as it is."""

    username: Username | None = None
    email: EmailAddress | None = None
    disabled: bool | None = None


class Users:
    """All accounts. An administrator is whoever the handlers let through."""

    def __init__(self, database: Database, *, audit: Audit, clock: Clock) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock

    async def page(self, search: str, after_id: int, limit: int) -> list[Account]:
        """Return accounts in order of id; ``search`` is part of a name or address."""
        return await self._database.read(
            lambda unit: unit.users.page(search.casefold(), after_id, limit)
        )

    async def change(
        self, user_id: int, changes: AccountChanges, actor: Actor
    ) -> Account:
        """Change an account and return it; disabling ends its sessions.

        Raises
        ------
        AccountNotFoundError, UsernameTakenError, EmailTakenError, LastAdminError
        """

        async def work(unit: Repositories) -> Account:
            if changes.disabled is not None:
                await unit.roles.lock_admin()
            account = await _locked(unit, user_id)
            await self._rename(unit, account, changes, actor)
            await self._set_disabled(unit, account, changes, actor)
            return await _locked(unit, user_id)

        return await self._database.write(work)

    async def set_roles(
        self, user_id: int, names: Iterable[str], actor: Actor
    ) -> Account:
        """Give an account exactly these roles; tokens with other ones are revoked.

        Its sessions go on: their next refresh brings the new roles.

        Raises
        ------
        UnknownRoleError, AccountNotFoundError, LastAdminError
        """
        wanted = tuple(names)

        async def work(unit: Repositories) -> Account:
            await unit.roles.lock_admin()
            roles = existing_roles(wanted, await unit.roles.names())
            account = await _locked(unit, user_id)
            if roles == frozenset(account.roles):
                return account
            now = self._clock()
            await unit.users.set_roles(user_id, roles)
            await _refuse_loss_of_last_admin(unit, account)
            await unit.sessions.lock_all(user_id)
            await unit.access_tokens.revoke_of_user(user_id, now)
            change = {
                "before": " ".join(sorted(account.roles)),
                "after": " ".join(sorted(roles)),
            }
            await self._tell(unit, Action.ROLES_CHANGED, user_id, actor, **change)
            return await _locked(unit, user_id)

        return await self._database.write(work)

    async def delete(self, user_id: int, actor: Actor) -> None:
        """Delete an account with its sessions; its id is never given again.

        Raises
        ------
        AccountNotFoundError, LastAdminError
        """

        async def work(unit: Repositories) -> None:
            await unit.roles.lock_admin()
            account = await _locked(unit, user_id)
            await self._end_sessions(unit, user_id, EndReason.ENDED_BY_ADMIN)
            await unit.users.delete(user_id)
            await _refuse_loss_of_last_admin(unit, account)
            await self._tell(unit, Action.ACCOUNT_DELETED, user_id, actor)

        await self._database.write(work)

    async def end_sessions(self, user_id: int, actor: Actor) -> int:
        """End all sessions of an account; return how many.

        Raises
        ------
        AccountNotFoundError
        """

        async def work(unit: Repositories) -> int:
            await _locked(unit, user_id)
            reason = EndReason.ENDED_BY_ADMIN
            ended = await self._end_sessions(unit, user_id, reason)
            details = {"reason": reason.value, "sessions": ended}
            await self._tell(unit, Action.SESSION_ENDED, user_id, actor, **details)
            return ended

        return await self._database.write(work)

    async def _rename(
        self,
        unit: Repositories,
        account: Account,
        changes: AccountChanges,
        actor: Actor,
    ) -> None:
        username = changes.username or Username(account.username, account.username_key)
        email = changes.email or EmailAddress(account.email, account.email_key)
        if (username.text, email.text) == (account.username, account.email):
            return
        await unit.users.rename(account.id, username, email, self._clock())
        changed = {
            "username": username.text != account.username,
            "email": email.text != account.email,
        }
        await self._tell(unit, Action.ACCOUNT_CHANGED, account.id, actor, **changed)

    async def _set_disabled(
        self,
        unit: Repositories,
        account: Account,
        changes: AccountChanges,
        actor: Actor,
    ) -> None:
        is_disabled = account.disabled_at is not None
        if changes.disabled is None or changes.disabled == is_disabled:
            return
        now = self._clock()
        if changes.disabled:
            await unit.users.set_disabled_at(account.id, now, now)
            await _refuse_loss_of_last_admin(unit, account)
            await self._end_sessions(unit, account.id, EndReason.ACCOUNT_DISABLED)
            await self._tell(unit, Action.ACCOUNT_DISABLED, account.id, actor)
        else:
            await unit.users.set_disabled_at(account.id, None, now)
            await self._tell(unit, Action.ACCOUNT_ENABLED, account.id, actor)

    async def _end_sessions(
        self, unit: Repositories, user_id: int, reason: EndReason
    ) -> int:
        now = self._clock()
        ended = await unit.sessions.end_all(user_id, reason, now)
        await unit.access_tokens.revoke_of_user(user_id, now)
        return ended

    async def _tell(
        self,
        unit: Repositories,
        action: Action,
        user_id: int,
        actor: Actor,
        **details: Detail,
    ) -> None:
        await self._audit.append(
            unit,
            AuditEvent(
                action=action,
                actor_id=actor.user_id,
                subject_id=user_id,
                address=actor.device.address,
                details=details,
            ),
        )


async def _locked(unit: Repositories, user_id: int) -> Account:
    account = await unit.users.lock(user_id)
    if account is None:
        raise AccountNotFoundError
    return account


async def _refuse_loss_of_last_admin(unit: Repositories, before: Account) -> None:
    """Undo, by raising, what leaves nobody to administer accounts.

    Whoever may have caused it holds the lock on the admin role.
    """
    was_admin = ADMIN in before.roles and before.disabled_at is None
    if was_admin and not await unit.users.count_active_admins():
        raise LastAdminError
