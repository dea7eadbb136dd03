"""Undo changes of second factors, by the mails that announced them."""

from datetime import datetime

from identity_service.domain.factors import APP
from identity_service.domain.one_time_tokens import Purpose, StoredToken
from identity_service.domain.sessions import Device
from identity_service.domain.users import User
from identity_service.storage.repositories import Repositories
from identity_service.usecases.accounts.undoing import Undoing


class FactorUndos:
    """Undoes changes of factors."""

    def __init__(self, undoing: Undoing) -> None:
        self._undoing = undoing

    async def undo(self, untrusted_token: str, device: Device) -> None:
        """Remove the added factor, end all sessions, and mail a reset to the owner.

        Recovery codes are removed in any case, since the attacker may have seen them.
        Removed factors are not restored; their owner adds them again.

        Raises
        ------
        OneTimeTokenRefusedError, TooManyAttemptsError, HashingBusyError
        """
        await self._undoing.undo(
            untrusted_token, Purpose.FACTOR_CHANGE_UNDO, device, _remove
        )


async def _remove(unit: Repositories, user: User, token: StoredToken) -> None:
    if token.about == APP:
        app = await unit.factors.get_totp(user.id)
        if app and app.confirmed_at and app.confirmed_at <= token.created_at:
            await unit.factors.remove_totp(user.id)
    elif token.about is not None:
        await unit.passkeys.remove(user.id, token.about)
    await unit.factors.remove_recovery_codes(user.id)


async def remove_factors_since(
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
