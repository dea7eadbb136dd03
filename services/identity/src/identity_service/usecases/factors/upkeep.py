"""What operators do with the second factors of users."""

from dataclasses import dataclass
from functools import partial
from typing import Final

from identity_service.domain.accounts.usernames import Username
from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.errors import SecretsUnopenedError, UserNotFoundError
from identity_service.domain.factors import TotpSecret
from identity_service.domain.sessions.sessions import EndReason
from identity_service.security.keyrings import SealBrokenError, Sealer
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.usecases.factors.changes import FactorRecords
from identity_service.usecases.factors.proofs import totp_place

_BATCH: Final = 200
"""Secrets read at a time."""


@dataclass(frozen=True, slots=True)
class FactorUpkeep:
    """Removes lost factors, and reseals secrets."""

    database: Database
    sealer: Sealer
    records: FactorRecords

    async def reset(self, username: str) -> int:
        """Remove all second factors of a user, whose sessions end; return how many.

        Raises `UserNotFoundError`.
        """
        key = Username.key_of(username)

        async def work(unit: Repositories) -> int:
            found = await unit.users.get_by_username_key(key)
            if found is None or await unit.users.lock(found.id) is None:
                raise UserNotFoundError
            removed = int(await unit.factors.remove_totp(found.id))
            removed += await unit.passkeys.remove_all(found.id)
            await unit.factors.remove_recovery_codes(found.id)
            ended = await unit.sessions.end_all(found.id, EndReason.FACTORS_RESET)
            await self.records.append(
                unit,
                AuditEvent(
                    action=Action.FACTORS_RESET,
                    subject_id=found.id,
                    details={"factors": removed, "sessions_ended": ended},
                ),
            )
            return removed

        return await self.database.write(work)

    async def reseal(self) -> int:
        """Reseal secrets that are not sealed by the first key; return how many.

        Raises `SecretsUnopenedError`: some do not open; the others are done.
        """
        resealed, unopened, after = 0, 0, 0
        while batch := await self.database.read(partial(_secrets_after, after)):
            for stored in batch:
                try:
                    resealed += await self._reseal(stored)
                except SealBrokenError:
                    unopened += 1
            after = batch[-1].user_id
        if unopened:
            raise SecretsUnopenedError(unopened)
        return resealed

    async def _reseal(self, stored: TotpSecret) -> bool:
        user_id, sealed = stored.user_id, stored.sealed_secret
        renewed = self.sealer.reseal(sealed, totp_place(user_id))
        if renewed is None:
            return False
        return await self.database.write(
            lambda unit: unit.factors.reseal_totp(user_id, sealed, renewed)
        )


async def _secrets_after(user_id: int, unit: Repositories) -> list[TotpSecret]:
    return await unit.factors.totp_after(user_id, _BATCH)
