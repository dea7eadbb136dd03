"""Apply the changes that mailed tokens confirm or undo."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NoReturn

from identity_service.domain.accounts.users import User
from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.errors import EmailTakenError, OneTimeTokenRefusedError
from identity_service.domain.one_time_tokens import Purpose, StoredToken
from identity_service.domain.sessions.sessions import Device
from identity_service.security.one_time_tokens import OneTimeToken
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.usecases.limits.throttling import Throttle
from identity_service.usecases.mail.one_time_tokens import OneTimeTokens

Change = Callable[[Repositories, User, StoredToken], Awaitable[None]]
"""The change that a valid token makes to its user, who is locked."""


@dataclass(frozen=True, slots=True)
class TokenUses:
    """Checks and spends mailed tokens."""

    database: Database
    tokens: OneTimeTokens
    throttle: Throttle

    async def require(
        self, presented: OneTimeToken, purpose: Purpose, device: Device
    ) -> None:
        """Return if the token is valid, else `refuse` it."""
        if not await self.database.read(
            lambda unit: self._good(unit, presented, purpose)
        ):
            await self.refuse(device)

    async def refuse(self, device: Device) -> NoReturn:
        """Count a wrong token, record it, and raise `OneTimeTokenRefusedError`.

        Nobody guesses a token, so a valid one is not counted: whoever fails at the same
        address keeps no owner from undoing what a thief did.

        Raises `TooManyAttemptsError` in place of it: too many were wrong.
        """
        await self.throttle.reserve_sign_up(device.address)
        event = AuditEvent.without_actor(Action.TOKEN_REFUSED, None, device.address)
        await self.database.record(event)
        raise OneTimeTokenRefusedError

    async def spend(
        self, presented: OneTimeToken, purpose: Purpose, device: Device, change: Change
    ) -> None:
        """Spend a valid token and make the change; `refuse` any other."""

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
            is_good = await self.database.write(work)
        except (EmailTakenError, OneTimeTokenRefusedError):
            is_good = False
        if not is_good:
            await self.refuse(device)

    async def _good(
        self, unit: Repositories, presented: OneTimeToken, purpose: Purpose
    ) -> StoredToken | None:
        stored = await unit.one_time_tokens.get(presented.id)
        return stored if self.tokens.is_good(stored, presented, {purpose}) else None
