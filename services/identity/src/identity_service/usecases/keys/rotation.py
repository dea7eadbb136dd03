"""Rotate the signing keys. Every process does so; there is no leader."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.errors import (
    DatabaseUnavailableError,
    KeysUnopenedError,
    KeyTooNewError,
    LostRaceError,
    SigningKeyUnavailableError,
)
from identity_service.domain.signing_keys import (
    KeyRecord,
    KeySchedule,
    KeySlot,
    KeyState,
    Step,
    in_slot,
)
from identity_service.security.key_material import (
    SigningKey,
    generate_signing_key,
    published_jwk,
    seal_signing_key,
)
from identity_service.security.keyrings import Sealer
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.storage.retries import retried
from identity_service.usecases.keys.resealing import reseal_keys
from identity_service.usecases.keys.signing_keys import SigningKeys
from service_kit.clock import Clock

_RETRY: Final = timedelta(seconds=1)
"""How soon to try again after the database failed."""

_ATTEMPTS: Final = 3
"""How often the operator's command tries, where processes that serve interfere."""

_logger: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeyRotation:
    """Takes each step that is due, unless another process has taken it already."""

    database: Database
    keys: SigningKeys
    sealer: Sealer
    schedule: KeySchedule
    clock: Clock
    generate: Callable[[], Awaitable[SigningKey]] = generate_signing_key

    async def run(self) -> None:
        """Keep the keys in memory fresh and rotated until cancelled."""
        is_resealed = False
        while True:
            delay = self.schedule.poll
            try:
                await self.advance()
                if not is_resealed:
                    await self.reseal()
                    is_resealed = True
            except DatabaseUnavailableError as error:
                _logger.warning("signing_keys_not_read", extra={"reason": str(error)})
                delay = _RETRY
            except SigningKeyUnavailableError:
                is_resealed = True  # as far as it can be, and the log says what can't
            except Exception:
                _logger.exception("key_rotation_failed")
            await asyncio.sleep(delay.total_seconds())

    async def advance(self) -> Step | None:
        """Read the keys, take the step that is due, and return it."""
        records = await self.keys.refresh()
        step = self.schedule.due(records, self.clock())
        if step is None:
            await self._remove_gone(records)
            return None
        try:
            await self._take(step, records)
        except LostRaceError:
            _logger.info("key_step_taken_elsewhere", extra={"step": step.name})
        except KeysUnopenedError as error:
            _logger.error(  # noqa: TRY400 - no trace is needed to mend the settings
                "key_step_not_taken", extra={"step": step.name, "reason": str(error)}
            )
            return None
        await self.keys.refresh()
        return step

    async def rotate(self) -> str:
        """Let the next key sign before its time; return its kid.

        Raises `KeyTooNewError`: verifiers may not have it yet; `KeysUnopenedError`: the
        active key or the next does not open: nothing is changed.
        """
        records = await self.keys.refresh()
        active, following = in_slot(records)
        if active is None or following is None:
            raise SigningKeyUnavailableError
        self._demand_opened(active, following)
        usable_at = following.published_at + self.schedule.publication
        if self.clock() < usable_at:
            raise KeyTooNewError(usable_at)
        await self._replace(active, following)
        return following.kid

    async def withdraw(self, *, replaces_unopened: bool = False) -> str:
        """Unpublish the active key immediately, replace it, and return the new kid.

        For emergencies: what it has signed is refused as soon as verifiers fetch the
        JWKS again. The next key signs now, however new; if it does not open, a key
        that nobody knows yet does, sealed as the active one is.

        Raises `KeysUnopenedError`: neither opens: nothing is changed, unless
        ``replaces_unopened``, which is for key-encryption keys that are lost for good.
        """
        return await retried(
            partial(self._withdraw, replaces_unopened=replaces_unopened),
            on=LostRaceError,
            attempts=_ATTEMPTS,
        )

    async def replace_all(self) -> tuple[int, str]:
        """Withdraw every key, opened or not; return how many, and the new one's kid.

        For a database that was restored: what it says of keys may not be true any more.
        """
        active, following = await self.generate(), await self.generate()
        records = [
            self._record(active, KeySlot.ACTIVE),
            self._record(following, KeySlot.NEXT),
        ]

        async def work(unit: Repositories) -> int:
            withdrawn = await unit.signing_keys.withdraw_all(unit.now())
            for record in records:
                await unit.signing_keys.add(record)
            details = {"kid": None, "successor_kid": active.kid}
            unit.record(AuditEvent(action=Action.KEY_WITHDRAWN, details=details))
            return withdrawn

        withdrawn = await self.database.write(work)
        await self.keys.refresh()
        return withdrawn, active.kid

    async def reseal(self) -> int:
        """Reseal what the first sealing key did not seal; see `reseal_keys`."""
        return await reseal_keys(self.database, self.sealer, await self.keys.refresh())

    async def _take(self, step: Step, records: tuple[KeyRecord, ...]) -> None:
        active, following = in_slot(records)
        match step:
            case Step.BEGIN:
                await self._add(KeySlot.ACTIVE)
            case Step.PUBLISH:
                self._demand_opened(active)
                await self._add(KeySlot.NEXT)
            case Step.ROTATE:
                if active is not None and following is not None:
                    await self._replace(active, following)

    async def _add(self, slot: KeySlot) -> None:
        key = await self.generate()
        record = self._record(key, slot)
        action = Action.KEY_PUBLISHED if slot is KeySlot.NEXT else Action.KEY_ACTIVATED

        async def work(unit: Repositories) -> None:
            await unit.signing_keys.add(record)
            unit.record(AuditEvent(action=action, details={"kid": key.kid}))

        await self.database.write(work)
        _logger.info(action.value, extra={"kid": key.kid})

    async def _replace(self, active: KeyRecord, following: KeyRecord) -> None:
        self._demand_opened(active, following)
        now = self.clock()

        async def work(unit: Repositories) -> None:
            await unit.signing_keys.retire(
                active.kid, now, self.schedule.expires_at(now)
            )
            await unit.signing_keys.activate(
                following.kid, now, published_before=now - self.schedule.publication
            )
            details = {"kid": following.kid, "previous_kid": active.kid}
            unit.record(AuditEvent(action=Action.KEY_ACTIVATED, details=details))

        await self.database.write(work)
        _logger.info(Action.KEY_ACTIVATED.value, extra={"kid": following.kid})

    async def _withdraw(self, *, replaces_unopened: bool) -> str:
        active, following = in_slot(await self.keys.refresh())
        if following is not None and self.keys.opens(following):
            return await self._put_successor(active, following.kid)
        seal = None
        if active is not None and self.keys.opens(active):
            seal = active.sealed_private_key
        elif not replaces_unopened:
            self._demand_opened(active, following)
        fresh = await self.generate()
        return await self._put_successor(
            active,
            fresh.kid,
            unusable=following,
            fresh=self._record(fresh, KeySlot.ACTIVE, like=seal),
        )

    async def _put_successor(
        self,
        withdrawn: KeyRecord | None,
        successor_kid: str,
        *,
        unusable: KeyRecord | None = None,
        fresh: KeyRecord | None = None,
    ) -> str:
        now = self.clock()

        async def work(unit: Repositories) -> None:
            keys = unit.signing_keys
            for record in (withdrawn, unusable):
                if record is not None:
                    await keys.withdraw(record.kid, now)
            if fresh is not None:
                await keys.add(fresh)
            else:
                await keys.activate(successor_kid, now)
            kid = withdrawn.kid if withdrawn else None
            details = {"kid": kid, "successor_kid": successor_kid}
            unit.record(AuditEvent(action=Action.KEY_WITHDRAWN, details=details))

        await self.database.write(work)
        await self.keys.refresh()
        return successor_kid

    async def _remove_gone(self, records: tuple[KeyRecord, ...]) -> None:
        now = self.clock()
        if any(record.state(now) is KeyState.GONE for record in records):
            await self.database.write(lambda unit: unit.signing_keys.remove_gone(now))

    def _demand_opened(self, *records: KeyRecord | None) -> None:
        """Raise `KeysUnopenedError` unless this process could sign with each key.

        What does not open here may open elsewhere: it is this process that has the
        wrong key-encryption keys, and what it sealed nobody else would open.
        """
        unopened = [each.kid for each in records if each and not self.keys.opens(each)]
        if unopened:
            raise KeysUnopenedError(unopened)

    def _record(
        self, key: SigningKey, slot: KeySlot, *, like: bytes | None = None
    ) -> KeyRecord:
        """Return the record of a new key, sealed as ``like`` is if that is given."""
        now = self.clock()
        return KeyRecord(
            kid=key.kid,
            slot=slot,
            public_jwk=published_jwk(key),
            sealed_private_key=seal_signing_key(key, self.sealer, like=like),
            published_at=now,
            activated_at=now if slot is KeySlot.ACTIVE else None,
            retired_at=None,
            expires_at=None,
        )
