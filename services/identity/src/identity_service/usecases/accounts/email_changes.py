"""Change the e-mail address of an account, confirmed at the new one.

The response does not reveal whether the new address has an account. If it has, the
mail to it says so, and contains no token that could confirm the change.
"""

from dataclasses import dataclass

from identity_service.domain.accounts.emails import EmailAddress, VerificationMode
from identity_service.domain.accounts.usernames import InvalidUsernameError
from identity_service.domain.accounts.users import User, refuse_foreign_address
from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.errors import (
    EmailUnconfirmedError,
    OneTimeTokenRefusedError,
)
from identity_service.domain.mail import MailKind
from identity_service.domain.one_time_tokens import LIFETIMES, Purpose, StoredToken
from identity_service.domain.sessions.sessions import Caller, Device
from identity_service.security.one_time_tokens import read_token
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.usecases.accounts.token_uses import TokenUses
from identity_service.usecases.limits.throttling import Throttle
from identity_service.usecases.mail.one_time_tokens import OneTimeTokens, letter_to
from identity_service.usecases.mail.outbox import Outbox
from identity_service.usecases.sessions.callers import require_session


@dataclass(frozen=True, slots=True)
class EmailChanges:
    """Changes addresses."""

    database: Database
    tokens: OneTimeTokens
    token_uses: TokenUses
    throttle: Throttle
    outbox: Outbox
    mode: VerificationMode

    def refuse_unconfirmed(self) -> None:
        """Raise `EmailUnconfirmedError` where users may not just set an address."""
        if self.mode is not VerificationMode.OFF:
            raise EmailUnconfirmedError

    async def ask(self, caller: Caller, untrusted_email: str) -> None:
        """Mail a link to the address that the caller wants to have.

        Raises `NotOfferedError`, `InvalidEmailError`, `TooManyAttemptsError`;
        `UserNotFoundError`: they, or their session, ended meanwhile;
        `InvalidUsernameError`: the caller's name is their present address, which
        another user may take.
        """
        self.outbox.require_server()
        email = EmailAddress.parse(untrusted_email)
        await self.throttle.reserve_mail(
            MailKind.EMAIL_CHANGE, email.key, caller.device.address
        )
        await self.throttle.reserve_mail_in_all()

        async def work(unit: Repositories) -> None:
            user = await unit.users.lock_existing(caller.user_id)
            await require_session(unit, caller)
            refuse_foreign_address(user.name, email)
            owner = await unit.users.get_by_email_key(email.key)
            token = await self.tokens.issue(unit, Purpose.EMAIL_CHANGE, user.id, email)
            if owner is None or owner.id == user.id:
                letter = letter_to(
                    email,
                    MailKind.EMAIL_CHANGE,
                    token,
                    LIFETIMES[Purpose.EMAIL_CHANGE],
                    user_id=user.id,
                )
                await self.outbox.post(unit, letter)
            else:
                await self.outbox.post_to(unit, owner, MailKind.ALREADY_SIGNED_UP)
            unit.record(AuditEvent.by_caller(Action.EMAIL_CHANGE_REQUESTED, caller))

        await self.database.write(work)

    async def confirm(self, untrusted_token: str, device: Device) -> None:
        """Give the user the address, and mail to the old one how to undo it.

        Raises `OneTimeTokenRefusedError` or `TooManyAttemptsError`.
        """

        async def work(unit: Repositories, user: User, token: StoredToken) -> None:
            email = token.email_address
            try:
                refuse_foreign_address(user.name, email)
            except InvalidUsernameError:
                raise OneTimeTokenRefusedError from None
            await set_address(unit, user, token)
            if not email.is_mailbox_of(user.email):
                await self.tokens.announce_address(unit, user, email)
            unit.record(AuditEvent.by_user(Action.EMAIL_CHANGED, user.id, device))

        presented = read_token(untrusted_token)
        await self.token_uses.spend(presented, Purpose.EMAIL_CHANGE, device, work)


async def set_address(unit: Repositories, user: User, token: StoredToken) -> None:
    """Give a user the address that a token of theirs was mailed for, as confirmed.

    Raises `EmailTakenError`.
    """
    email, now = token.email_address, unit.now()
    await unit.users.rename(user, user.name, email, email_verified_at=now)
