"""Undo what an attacker did to an account, and lock them out."""

import secrets
from collections.abc import Mapping
from typing import Final

from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.one_time_tokens import UNDOES, Purpose, StoredToken
from identity_service.domain.sessions import Device, EndReason
from identity_service.domain.users import User
from identity_service.security.password_hashing import PasswordHasher
from identity_service.storage.repositories import Repositories
from identity_service.usecases.accounts.password_letters import PasswordLetters
from identity_service.usecases.accounts.token_uses import Change, TokenUses
from identity_service.usecases.audit import Audit
from service_kit.clock import Clock

_RANDOM_PASSWORD_BYTES: Final = 32

_RECORDED: Final[Mapping[Purpose, tuple[Action, EndReason]]] = {
    Purpose.EMAIL_CHANGE_UNDO: (
        Action.EMAIL_CHANGE_UNDONE,
        EndReason.EMAIL_CHANGE_UNDONE,
    ),
    Purpose.FACTOR_CHANGE_UNDO: (
        Action.FACTOR_CHANGE_UNDONE,
        EndReason.FACTOR_CHANGE_UNDONE,
    ),
}
"""What the audit log, and each session that ends, say."""


class Undoing:
    """Undoes things by the token of the mail that announced them.

    An attacker knows the password or has a session. Neither remains valid,
    a mail lets the owner choose a new password, and a scheduled deletion is cancelled.
    """

    def __init__(
        self,
        token_uses: TokenUses,
        *,
        hasher: PasswordHasher,
        password_letters: PasswordLetters,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._token_uses = token_uses
        self._hasher = hasher
        self._password_letters = password_letters
        self._audit = audit
        self._clock = clock

    async def undo(
        self,
        untrusted_token: str,
        purpose: Purpose,
        device: Device,
        change: Change,
    ) -> None:
        """Apply the change that undoes it, end all sessions, and mail a reset link.

        Tokens that undo other changes stay valid, unless ``change`` removes them.

        Raises
        ------
        OneTimeTokenRefusedError, TooManyAttemptsError, HashingBusyError
        """
        action, reason = _RECORDED[purpose]
        presented = await self._token_uses.present(untrusted_token, device)
        await self._token_uses.require(presented, purpose, device)
        unknown = secrets.token_urlsafe(_RANDOM_PASSWORD_BYTES)
        password_hash = await self._hasher.hash(unknown, device)

        async def work(unit: Repositories, user: User, token: StoredToken) -> None:
            now = self._clock()
            await change(unit, user, token)
            await unit.users.set_password(user.id, password_hash, now, temporary=False)
            await unit.sessions.end_all(user.id, reason, now)
            await unit.one_time_tokens.remove_of_user(user.id, set(Purpose) - UNDOES)
            if user.deletion_due_at is not None:
                await unit.users.set_deletion_due_at(user.id, None, now)
                kept = AuditEvent.by_user(
                    Action.DELETION_CANCELLED, user.id, device.address
                )
                await self._audit.append(unit, kept)
            restored = await unit.users.get(user.id)
            if restored is not None:
                await self._password_letters.post(
                    unit, restored, Purpose.PASSWORD_RESET
                )
            event = AuditEvent.by_user(action, user.id, device)
            await self._audit.append(unit, event)

        await self._token_uses.spend(presented, purpose, device, work)
