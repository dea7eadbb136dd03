"""Undo what an attacker did to an account, and lock them out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from identity_service.domain.accounts.passwords import random_password
from identity_service.domain.accounts.users import User
from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.factors import APP
from identity_service.domain.one_time_tokens import UNDOES, Purpose, StoredToken
from identity_service.domain.sessions.sessions import Device, EndReason
from identity_service.security.one_time_tokens import read_token
from identity_service.security.password_hashing import PasswordHasher
from identity_service.storage.repositories import Repositories
from identity_service.usecases.accounts.email_changes import set_address
from identity_service.usecases.accounts.password_letters import PasswordLetters
from identity_service.usecases.accounts.token_uses import Change, TokenUses

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


@dataclass(frozen=True, slots=True)
class Undoing:
    """Undoes things by the token of the mail that announced them.

    An attacker knows the password or has a session. Neither remains valid, a mail lets
    the owner choose a new password, and a scheduled deletion is cancelled. Tokens that
    undo other changes stay valid, unless a method says otherwise.
    """

    token_uses: TokenUses
    hasher: PasswordHasher
    password_letters: PasswordLetters

    async def undo_email_change(self, untrusted_token: str, device: Device) -> None:
        """Restore the old address.

        Second factors added since are removed too, because the mails that announced
        them went to the other address. So are tokens that undo later changes.

        Raises `OneTimeTokenRefusedError`, `TooManyAttemptsError` or `HashingBusyError`.
        """

        async def work(unit: Repositories, user: User, token: StoredToken) -> None:
            since = token.created_at
            await set_address(unit, user, token)
            await unit.one_time_tokens.remove_of_user(user.id, UNDOES, since=since)
            await _remove_factors_since(unit, user.id, since)

        await self._undo(untrusted_token, Purpose.EMAIL_CHANGE_UNDO, device, work)

    async def undo_factor_change(self, untrusted_token: str, device: Device) -> None:
        """Remove the added factor, and those added since.

        Recovery codes are removed in any case, since the attacker may have seen them.
        Removed factors are not restored; their owner adds them again.

        Raises `OneTimeTokenRefusedError`, `TooManyAttemptsError` or `HashingBusyError`.
        """
        await self._undo(
            untrusted_token, Purpose.FACTOR_CHANGE_UNDO, device, _remove_added_factor
        )

    async def _undo(
        self, untrusted_token: str, purpose: Purpose, device: Device, change: Change
    ) -> None:
        action, reason = _RECORDED[purpose]
        presented = read_token(untrusted_token)
        await self.token_uses.require(presented, purpose, device)
        password_hash = await self.hasher.hash(random_password(), device)

        async def work(unit: Repositories, user: User, token: StoredToken) -> None:
            await change(unit, user, token)
            await unit.users.set_password(user.id, password_hash, temporary=False)
            await unit.sessions.end_all(user.id, reason)
            await unit.one_time_tokens.remove_of_user(user.id, set(Purpose) - UNDOES)
            if user.deletion_due_at is not None:
                await unit.users.set_deletion_due_at(user.id, None)
                event = AuditEvent.by_user(Action.DELETION_CANCELLED, user.id, device)
                unit.record(event)
            restored = await unit.users.get_existing(user.id)
            await self.password_letters.post(unit, restored, Purpose.PASSWORD_RESET)
            unit.record(AuditEvent.by_user(action, user.id, device))

        await self.token_uses.spend(presented, purpose, device, work)


async def _remove_added_factor(
    unit: Repositories, user: User, token: StoredToken
) -> None:
    if token.about == APP:
        await unit.factors.remove_totp(user.id)
    elif token.about is not None:
        await unit.passkeys.remove(user.id, token.about)
    await _remove_factors_since(unit, user.id, token.created_at)


async def _remove_factors_since(
    unit: Repositories, user_id: int, moment: datetime
) -> None:
    """Remove what a locked user has got since then, and all recovery codes."""
    app = await unit.factors.get_totp(user_id)
    if app and (app.confirmed_at or app.created_at) >= moment:
        await unit.factors.remove_totp(user_id)
    for passkey in await unit.passkeys.of(user_id):
        if passkey.created_at >= moment:
            await unit.passkeys.remove(user_id, passkey.id)
    await unit.factors.remove_recovery_codes(user_id)
