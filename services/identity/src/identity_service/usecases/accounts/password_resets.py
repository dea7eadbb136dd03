"""Choose a new password by a token that was mailed, or as the operator."""

from dataclasses import dataclass
from typing import NoReturn

from identity_service.domain.accounts.usernames import Username
from identity_service.domain.accounts.users import User
from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.errors import OneTimeTokenRefusedError, UserNotFoundError
from identity_service.domain.mail import MailKind
from identity_service.domain.one_time_tokens import (
    SETS_PASSWORD,
    SPENT_WITH_A_PASSWORD,
    StoredToken,
)
from identity_service.domain.sessions.sessions import OPERATOR, Device, EndReason
from identity_service.security.one_time_tokens import OneTimeToken, read_token
from identity_service.security.password_hashing import PasswordHasher
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.usecases.limits.throttling import Throttle
from identity_service.usecases.mail.one_time_tokens import OneTimeTokens
from identity_service.usecases.mail.outbox import Outbox
from identity_service.usecases.new_passwords import NewPasswords


@dataclass(frozen=True, slots=True)
class PasswordResets:
    """Sets passwords, which ends all sessions."""

    database: Database
    new_passwords: NewPasswords
    hasher: PasswordHasher
    throttle: Throttle
    tokens: OneTimeTokens
    outbox: Outbox

    async def confirm(
        self, untrusted_token: str, password: str, device: Device
    ) -> None:
        """Set a password by a token, and end all sessions.

        The holder of the token has the mailbox, so the address counts as verified.
        Nobody guesses a token, so a good one is not counted: it is the way out for the
        owner of an account at which others guess.

        Raises `OneTimeTokenRefusedError`; `WeakPasswordError`: the token stays good;
        `TooManyAttemptsError`: it is wrong, as others were; `HashingBusyError`: not
        now.
        """
        presented = read_token(untrusted_token)
        self.hasher.expect_room(device)
        stored, user, is_known_device = await self._find(presented, device)
        is_good = self.tokens.is_good(stored, presented, SETS_PASSWORD)
        if stored is None or user is None or not is_good:
            await self._refuse(user, device, is_known_device=is_known_device)
        await self.new_passwords.check(password, user.name, user.email_address)
        password_hash = await self.hasher.hash(password, device)
        if not await self._set(user, stored, password_hash, device):
            # Another request was first: nobody guesses at the account.
            await self.throttle.reserve_of_nobody(device.address)
            await self._record_refusal(user.id, device)
        if not await self._has_second_factor(user):  # else it is yet to be shown
            await self.throttle.forget_failures(user.username_key, device.address)

    async def set_temporary(self, username: str, password: str) -> None:
        """Give a user a password of the operator's, to be changed at the next sign-in.

        Raises `UserNotFoundError` or `WeakPasswordError`.
        """
        key = Username.key_of(username)
        user = await self.database.read(
            lambda unit: unit.users.get_by_username_key(key)
        )
        if user is None:
            raise UserNotFoundError
        await self.new_passwords.check(password, user.name, user.email_address)
        password_hash = await self.hasher.hash(password)

        async def work(unit: Repositories) -> None:
            locked = await unit.users.lock_existing(user.id)
            ended = await self._replace_password(
                unit, locked, password_hash, temporary=True
            )
            event = AuditEvent.without_actor(
                Action.PASSWORD_RESET,
                user.id,
                OPERATOR.address,
                sessions_ended=ended,
                by=OPERATOR.name,
            )
            unit.record(event)

        await self.database.write(work)

    async def _find(
        self, presented: OneTimeToken, device: Device
    ) -> tuple[StoredToken | None, User | None, bool]:
        async def look(
            unit: Repositories,
        ) -> tuple[StoredToken | None, User | None, bool]:
            stored = await unit.one_time_tokens.get(presented.id)
            if stored is None:
                return None, None, False
            user, is_known_device, _ = await unit.logins.by_id(
                stored.user_id, device.address
            )
            return stored, user, is_known_device

        return await self.database.read(look)

    async def _has_second_factor(self, user: User) -> bool:
        factors = await self.database.read(lambda unit: unit.factors.of(user.id))
        return bool(factors.kinds)

    async def _set(
        self, user: User, token: StoredToken, password_hash: str, device: Device
    ) -> bool:
        """Set the password and spend the token; return False if it is spent."""

        async def work(unit: Repositories) -> bool:
            locked = await unit.users.lock(user.id)
            if locked is None or not await unit.one_time_tokens.spend(token.id):
                return False
            ended = await self._replace_password(
                unit, locked, password_hash, temporary=False
            )
            await unit.users.set_email_verified(user.id, token.email_key)
            event = AuditEvent.by_user(
                Action.PASSWORD_RESET,
                user.id,
                device,
                sessions_ended=ended,
                by=token.purpose,
            )
            unit.record(event)
            return True

        return await self.database.write(work)

    async def _replace_password(
        self, unit: Repositories, user: User, password_hash: str, *, temporary: bool
    ) -> int:
        """Set a locked user's password, and send them a mail.

        Return how many sessions have ended by it.
        """
        await unit.users.set_password(user.id, password_hash, temporary=temporary)
        ended = await unit.sessions.end_all(user.id, EndReason.PASSWORD_RESET)
        await unit.one_time_tokens.remove_of_user(user.id, SPENT_WITH_A_PASSWORD)
        await self.outbox.post_to(unit, user, MailKind.PASSWORD_CHANGED)
        return ended

    async def _refuse(
        self, user: User | None, device: Device, *, is_known_device: bool = False
    ) -> NoReturn:
        """Count a wrong token against its user, and raise the error for it."""
        if user is None:  # a made-up token id: there is no account to guess at
            await self.throttle.reserve_of_nobody(device.address)
        else:
            await self.throttle.reserve_sign_in(
                user.username_key, device.address, known_device=is_known_device
            )
        await self._record_refusal(None if user is None else user.id, device)

    async def _record_refusal(self, user_id: int | None, device: Device) -> NoReturn:
        event = AuditEvent.without_actor(Action.TOKEN_REFUSED, user_id, device.address)
        await self.database.record(event)
        raise OneTimeTokenRefusedError
