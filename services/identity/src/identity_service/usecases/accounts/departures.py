"""Let users delete their accounts, after a grace in which signing in keeps them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from identity_service.domain.accounts.users import User
from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.errors import LastAdminError
from identity_service.domain.mail import MailKind
from identity_service.domain.one_time_tokens import Purpose
from identity_service.domain.sessions.sessions import Caller, EndReason
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.usecases.limits.throttling import Throttle
from identity_service.usecases.mail.outbox import Outbox
from identity_service.usecases.sessions.callers import require_session
from identity_service.usecases.users import delete_user, refuse_last_admin


@dataclass(frozen=True, slots=True)
class Departures:
    """Deletes accounts on request, and those whose grace is over."""

    database: Database
    throttle: Throttle
    outbox: Outbox
    grace: timedelta

    async def ask(self, caller: Caller) -> datetime:
        """End the caller's sessions, and return when their account is deleted.

        Signing in before that keeps it. Without a grace it is deleted immediately,
        unless its former address may still restore it.

        Raises `UserNotFoundError`, `LastAdminError` or `TooManyAttemptsError`.
        """
        await self._reserve_letter(caller)

        async def work(unit: Repositories) -> datetime:
            await unit.roles.lock_admin()
            user = await unit.users.lock_existing(caller.user_id)
            await require_session(unit, caller)
            await refuse_last_admin(unit, user)
            now = unit.now()
            due_at = max(now + self.grace, await _undoable_until(unit, user.id, now))
            if due_at > now:
                await self._postpone(unit, user, due_at)
                action = Action.DELETION_REQUESTED
            else:
                await delete_user(unit, user.id, EndReason.ACCOUNT_LEFT)
                action = Action.ACCOUNT_DELETED
            unit.record(AuditEvent.by_caller(action, caller))
            return due_at

        return await self.database.write(work)

    async def prune(self) -> int:
        """Delete one account whose grace is over, if there is one."""

        async def work(unit: Repositories) -> int:
            await unit.roles.lock_admin()
            now = unit.now()
            user_id = await unit.users.due_for_deletion()
            user = None if user_id is None else await unit.users.lock(user_id)
            if user is None or not user.is_due_for_deletion(now):
                return 0  # they have signed in since the first look, which locks nobody
            try:
                await refuse_last_admin(unit, user)
            except LastAdminError:  # since they asked, all others have gone
                await unit.users.set_deletion_due_at(user.id, None)
                event = AuditEvent(action=Action.DELETION_CANCELLED, subject_id=user.id)
                unit.record(event)
                return 1
            undoable_until = await _undoable_until(unit, user.id, now)
            if undoable_until > now:  # since they asked, the address was changed
                await unit.users.set_deletion_due_at(user.id, undoable_until)
                return 1
            await delete_user(unit, user.id, EndReason.ACCOUNT_LEFT)
            unit.record(AuditEvent(action=Action.ACCOUNT_DELETED, subject_id=user.id))
            return 1

        return await self.database.write(work)

    async def _reserve_letter(self, caller: Caller) -> None:
        """Count the letter, because the address may be another person's."""
        if not self.outbox.has_server:
            return
        user = await self.database.read(
            lambda unit: unit.users.get_existing(caller.user_id)
        )
        await self.throttle.reserve_mail_to(
            MailKind.ACCOUNT_DELETION, user.email_key, caller.device.address
        )

    async def _postpone(self, unit: Repositories, user: User, due_at: datetime) -> None:
        """Schedule a user's deletion, and notify them by mail."""
        await unit.users.set_deletion_due_at(user.id, due_at)
        await unit.sessions.end_all(user.id, EndReason.ACCOUNT_LEFT)
        date = f"{due_at:%Y-%m-%d}"
        await self.outbox.post_to(unit, user, MailKind.ACCOUNT_DELETION, date=date)


async def _undoable_until(unit: Repositories, user_id: int, now: datetime) -> datetime:
    """Return until when a change of the user's address can be undone, now if not."""
    tokens = await unit.one_time_tokens.of_user(user_id)
    undoing = (each for each in tokens if each.purpose == Purpose.EMAIL_CHANGE_UNDO)
    return max((each.expires_at for each in undoing), default=now)
