"""Change the e-mail address of an account: confirmed at the new one, undone by the old.

Nothing tells whoever asks whether the new address has an account: if it has, the mail
to it says so, and no token that could confirm it leaves the house.
"""

import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.emails import EmailAddress, Verification
from identity_service.domain.errors import (
    EmailTakenError,
    EmailUnconfirmedError,
    OneTimeTokenRefusedError,
    UserNotFoundError,
)
from identity_service.domain.mail import Letter, MailKind
from identity_service.domain.one_time_tokens import OF_MAILBOX, Purpose, StoredToken
from identity_service.domain.sessions import Caller, Device, EndReason
from identity_service.domain.usernames import InvalidUsernameError, Username
from identity_service.domain.users import User, refuse_foreign_address
from identity_service.security.one_time_tokens import OneTimeToken, read_token
from identity_service.security.password_hashing import PasswordHasher
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.usecases.accounts.email_verifications import already_signed_up
from identity_service.usecases.accounts.one_time_tokens import (
    OneTimeTokens,
    address_of,
    in_words,
)
from identity_service.usecases.accounts.password_resets import PasswordResets
from identity_service.usecases.audit import Audit
from identity_service.usecases.mail.outbox import Outbox
from identity_service.usecases.throttling import Throttle
from service_kit.clock import Clock
from service_kit.languages.accepting import preferred_language

_HOUR: Final = timedelta(hours=1)
_RANDOM_PASSWORD_BYTES: Final = 32

Change = Callable[[Repositories, User, StoredToken], Awaitable[None]]
"""What a good token does to its user, who is locked."""


class EmailChanges:
    """Changes addresses."""

    def __init__(
        self,
        database: Database,
        *,
        tokens: OneTimeTokens,
        password_resets: PasswordResets,
        hasher: PasswordHasher,
        throttle: Throttle,
        outbox: Outbox,
        audit: Audit,
        clock: Clock,
        mode: Verification,
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._password_resets = password_resets
        self._hasher = hasher
        self._throttle = throttle
        self._outbox = outbox
        self._audit = audit
        self._clock = clock
        self._mode = mode

    def refuse_unconfirmed(self) -> None:
        """Raise `EmailUnconfirmedError` where users may not just set an address."""
        if self._mode is not Verification.OFF:
            raise EmailUnconfirmedError

    async def ask(self, caller: Caller, untrusted_email: str) -> None:
        """Mail a link to the address that the caller wants to have.

        Raises
        ------
        NotOfferedError, InvalidEmailError, TooManyAttemptsError
        UserNotFoundError
            They, or their session, ended meanwhile.
        InvalidUsernameError
            The caller's name is the present address, which somebody else may have next.
        """
        self._outbox.require_server()
        email = EmailAddress.parse(untrusted_email)
        await self._throttle.reserve_mail(email.key, caller.device.address)

        async def work(unit: Repositories) -> None:
            user = await unit.users.lock(caller.user_id)
            session = await unit.sessions.lock(caller.session_id)
            if user is None or session is None or session.ended_at is not None:
                raise UserNotFoundError
            refuse_foreign_address(_name_of(user), email)
            owner = await unit.users.get_by_email_key(email.key)
            token = await self._tokens.issue(unit, Purpose.EMAIL_CHANGE, user.id, email)
            if owner is None or owner.id == user.id:
                letter = _letter(MailKind.EMAIL_CHANGE, email.text, user, token)
            else:
                letter = already_signed_up(owner)
            await self._outbox.post(unit, letter)
            await self._record(
                unit, Action.EMAIL_CHANGE_REQUESTED, user.id, caller.device
            )

        await self._database.write(work)

    async def confirm(self, untrusted_token: str, device: Device) -> None:
        """Give the user the address, and mail to the old one how to undo it.

        Raises
        ------
        OneTimeTokenRefusedError, TooManyAttemptsError
        """

        async def work(unit: Repositories, user: User, token: StoredToken) -> None:
            email = EmailAddress(token.email, token.email_key)
            try:
                refuse_foreign_address(_name_of(user), email)
            except InvalidUsernameError:
                raise OneTimeTokenRefusedError from None
            await self._set_address(unit, user, token)
            await unit.one_time_tokens.remove_of_user(user.id, OF_MAILBOX)
            undo = await self._tokens.issue(
                unit, Purpose.EMAIL_CHANGE_UNDO, user.id, address_of(user)
            )
            await self._outbox.post(
                unit,
                _letter(
                    MailKind.EMAIL_CHANGED, user.email, user, undo, address=token.email
                ),
            )
            await self._record(unit, Action.EMAIL_CHANGED, user.id, device)

        presented = await self._presented(untrusted_token, device)
        await self._spend(presented, Purpose.EMAIL_CHANGE, work)

    async def undo(self, untrusted_token: str, device: Device) -> None:
        """Bring the old address back, lock everybody out, and mail a reset to it.

        Whoever changed the address knows the password, so that is good no more.

        Raises
        ------
        OneTimeTokenRefusedError, TooManyAttemptsError, HashingBusyError
        """
        presented = await self._presented(untrusted_token, device)
        purpose = Purpose.EMAIL_CHANGE_UNDO
        if not await self._database.read(
            lambda unit: self._good(unit, presented, purpose)
        ):
            raise OneTimeTokenRefusedError
        unknown = secrets.token_urlsafe(_RANDOM_PASSWORD_BYTES)
        password_hash = await self._hasher.hash(unknown, device)

        async def work(unit: Repositories, user: User, token: StoredToken) -> None:
            now = self._clock()
            await self._set_address(unit, user, token)
            await unit.users.set_password(user.id, password_hash, now, temporary=False)
            reason = EndReason.EMAIL_CHANGE_UNDONE
            await unit.sessions.end_all(user.id, reason, now)
            await unit.one_time_tokens.remove_of_user(user.id)
            restored = await unit.users.get(user.id)
            if restored is not None:
                await self._password_resets.post(
                    unit, restored, Purpose.PASSWORD_RESET, preferred_language.get()
                )
            await self._record(unit, Action.EMAIL_CHANGE_UNDONE, user.id, device)

        await self._spend(presented, purpose, work)

    async def _presented(self, untrusted_token: str, device: Device) -> OneTimeToken:
        """Return what somebody presents, once the attempt is counted."""
        presented = read_token(untrusted_token)
        if presented is None:
            raise OneTimeTokenRefusedError
        await self._throttle.reserve_sign_up(device.address)
        return presented

    async def _spend(
        self, presented: OneTimeToken, purpose: Purpose, change: Change
    ) -> None:
        """Make a change with a good token, which is spent by it."""

        async def work(unit: Repositories) -> bool:
            stored = await self._good(unit, presented, purpose)
            user = None if stored is None else await unit.users.lock(stored.user_id)
            if stored is None or user is None:
                return False
            if not await unit.one_time_tokens.spend(stored.id):
                return False
            await change(unit, user, stored)
            return True

        try:
            is_good = await self._database.write(work)
        except EmailTakenError:
            is_good = False
        if not is_good:
            raise OneTimeTokenRefusedError

    async def _good(
        self, unit: Repositories, presented: OneTimeToken, purpose: Purpose
    ) -> StoredToken | None:
        stored = await unit.one_time_tokens.get(presented.id)
        return stored if self._tokens.is_good(stored, presented, {purpose}) else None

    async def _set_address(
        self, unit: Repositories, user: User, token: StoredToken
    ) -> None:
        now = self._clock()
        await unit.users.rename(
            user.id,
            _name_of(user),
            EmailAddress(token.email, token.email_key),
            now,
            email_verified_at=now,
        )

    async def _record(
        self, unit: Repositories, action: Action, user_id: int, device: Device
    ) -> None:
        await self._audit.append(
            unit,
            AuditEvent.by_user(action, user_id, device.address),
        )


def _name_of(user: User) -> Username:
    return Username(user.username, user.username_key)


def _letter(kind: MailKind, to: str, user: User, token: str, **values: str) -> Letter:
    is_change = kind is MailKind.EMAIL_CHANGE
    purpose = Purpose.EMAIL_CHANGE if is_change else Purpose.EMAIL_CHANGE_UNDO
    return Letter(
        kind=kind,
        to=to,
        language=preferred_language.get(),
        user_id=user.id,
        values={
            "username": user.username,
            "token": token,
            "hours": in_words(purpose, _HOUR),
            **values,
        },
    )
