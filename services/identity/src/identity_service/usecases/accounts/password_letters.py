"""Mail tokens that set a password: to those who forgot theirs, or are invited."""

from dataclasses import dataclass

from identity_service.domain.accounts.users import User
from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.mail import MailKind, MailRequest
from identity_service.domain.one_time_tokens import Purpose
from identity_service.domain.sessions.sessions import Caller
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.usecases.mail.one_time_tokens import OneTimeTokens, owner_of
from identity_service.usecases.sessions.callers import require_admin


@dataclass(frozen=True, slots=True)
class PasswordLetters:
    """Posts letters whose readers may choose a password."""

    database: Database
    tokens: OneTimeTokens

    async def handle(self, unit: Repositories, request: MailRequest) -> bool:
        """Mail a token to the user of the address, if their account is enabled."""
        user = await owner_of(unit, request.email_key)
        if user is None or user.disabled_at is not None:
            return False
        await self.post(unit, user, Purpose.PASSWORD_RESET, request.language)
        event = AuditEvent.without_actor(
            Action.PASSWORD_RESET_SENT, user.id, request.address
        )
        unit.record(event)
        return True

    async def send(self, user_id: int, caller: Caller) -> None:
        """Mail a token to a user, because an administrator wants it.

        Raises `UserNotFoundError`, `NotOfferedError` or `FormerAdminError`.
        """
        self.tokens.outbox.require_server()

        async def work(unit: Repositories) -> None:
            await require_admin(unit, caller)
            user = await unit.users.lock_existing(user_id)
            await self.post(unit, user, Purpose.PASSWORD_RESET)
            event = AuditEvent.by_caller(Action.PASSWORD_RESET_SENT, caller, user_id)
            unit.record(event)

        await self.database.write(work)

    async def post(
        self,
        unit: Repositories,
        user: User,
        purpose: Purpose,
        language: str | None = None,
    ) -> None:
        """Post the letter with a token that sets a password: a reset, an invitation."""
        is_reset = purpose is Purpose.PASSWORD_RESET
        kind = MailKind.PASSWORD_RESET if is_reset else MailKind.INVITATION
        await self.tokens.mail(
            unit,
            user,
            kind,
            purpose,
            language=language,
            username=user.name_in_mail if is_reset else user.username,
        )
