"""Register, name and remove passkeys, and sign in with them."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from identity_service.domain.accounts.users import User
from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.errors import (
    FactorNotFoundError,
    InvalidCredentialsError,
    TooManyPasskeysError,
    UserNotFoundError,
    WrongProofError,
)
from identity_service.domain.factors import MOST_PASSKEYS, Factor, Passkey
from identity_service.domain.sessions.sessions import Caller, Device
from identity_service.security.passkeys import (
    CeremonyRefusedError,
    PasskeyCeremonies,
    PasskeyUse,
    Registration,
    untrusted_user_handle,
)
from identity_service.security.recovery_codes import RecoveryCodes
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.usecases.factors.changes import (
    FactorRecords,
    end_weaker_sessions,
    forget_factors_if_none_is_left,
    give_recovery_codes,
    renew_authentication,
)
from identity_service.usecases.factors.proofs import FactorProofs, passkey_methods
from identity_service.usecases.limits.throttling import Throttle
from identity_service.usecases.sessions.callers import require_session
from identity_service.usecases.sessions.starts import SessionStarts
from identity_service.usecases.sessions.token_pairs import TokenPair
from service_kit.clock import Clock

_logger: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Passkeys:
    """The passkeys of users who are signed in."""

    database: Database
    ceremonies: PasskeyCeremonies
    recovery_codes: RecoveryCodes
    records: FactorRecords
    throttle: Throttle
    clock: Clock

    async def options(self, caller: Caller) -> dict[str, Any]:
        """Return what the caller's browser makes a passkey by.

        Raises `TooManyPasskeysError` or `TooManyAttemptsError`.
        """
        await self.throttle.reserve_change(caller.user_id)

        async def work(unit: Repositories) -> tuple[User | None, list[Passkey]]:
            user = await unit.users.get(caller.user_id)
            return user, await unit.passkeys.of(caller.user_id)

        user, present = await self.database.read(work)
        if user is None or user.subject is None:  # every token has given them one
            raise UserNotFoundError
        if len(present) >= MOST_PASSKEYS:
            raise TooManyPasskeysError
        return self.ceremonies.registration_options(
            user, user.subject, caller.session_id, present
        )

    async def register(
        self, caller: Caller, untrusted: Mapping[str, Any], name: str
    ) -> tuple[Passkey, list[str]]:
        """Register a passkey of the caller's.

        Return it, and recovery codes if it is the first factor: they are shown once.
        Then the caller's other sessions end.

        Raises `WrongProofError`: what the browser brought is not to be trusted, or
        served before; or the session has ended meanwhile; `TooManyAttemptsError`.
        """
        await self.throttle.reserve_change(caller.user_id)
        try:
            made = self.ceremonies.judge_registration(
                untrusted, caller, name, self.clock()
            )
            return await self._add(caller, made)
        except CeremonyRefusedError as error:
            await self._refuse(caller, error)
            raise WrongProofError from None

    async def _add(
        self, caller: Caller, made: Registration
    ) -> tuple[Passkey, list[str]]:
        """Add a passkey; raise `CeremonyRefusedError`, and nothing stays of it."""
        passkey, challenge = made.passkey, made.challenge
        methods = passkey_methods(verified=made.is_user_verified)

        async def work(unit: Repositories) -> list[str]:
            await unit.users.lock(caller.user_id)
            factors = await unit.factors.of(caller.user_id)
            if factors.passkeys >= MOST_PASSKEYS:
                raise CeremonyRefusedError("the user has as many as one may have")
            if not await unit.factors.spend_challenge(
                challenge.digest, challenge.expires_at
            ):
                raise CeremonyRefusedError("the challenge is spent")
            ended = await end_weaker_sessions(unit, caller)
            if not await unit.passkeys.add(passkey):
                raise CeremonyRefusedError("the passkey is here already")
            if not await renew_authentication(unit, caller, methods):
                raise CeremonyRefusedError("the session has ended")
            await self.records.by_caller(
                unit,
                Action.PASSKEY_ADDED,
                caller,
                added=passkey.id,
                passkey=passkey.id,
                sessions_ended=ended,
            )
            if factors.recovery_codes:
                return []
            return await give_recovery_codes(unit, self.recovery_codes, caller.user_id)

        return passkey, await self.database.write(work)

    async def all(self, user_id: int) -> list[Passkey]:
        """Return a user's passkeys, the oldest first."""
        return await self.database.read(lambda unit: unit.passkeys.of(user_id))

    async def rename(self, caller: Caller, passkey_id: str, name: str) -> Passkey:
        """Name a passkey of the caller's, and return it.

        Raises `FactorNotFoundError` or `TooManyAttemptsError`.
        """
        await self.throttle.reserve_change(caller.user_id)

        async def work(unit: Repositories) -> Passkey:
            is_renamed = await unit.passkeys.rename(caller.user_id, passkey_id, name)
            passkey = await unit.passkeys.get(passkey_id)
            if passkey is None or not is_renamed:
                raise FactorNotFoundError
            await self.records.by_caller(
                unit, Action.PASSKEY_RENAMED, caller, passkey=passkey_id
            )
            return passkey

        return await self.database.write(work)

    async def remove(self, caller: Caller, passkey_id: str) -> None:
        """Remove a passkey of the caller's.

        Raises `FactorNotFoundError` or `TooManyAttemptsError`; `UserNotFoundError`:
        their session has ended meanwhile.
        """
        await self.throttle.reserve_change(caller.user_id)

        async def work(unit: Repositories) -> None:
            await unit.users.lock(caller.user_id)
            await require_session(unit, caller)
            if not await unit.passkeys.remove(caller.user_id, passkey_id):
                raise FactorNotFoundError
            await forget_factors_if_none_is_left(unit, caller.user_id)
            await self.records.by_caller(
                unit, Action.PASSKEY_REMOVED, caller, passkey=passkey_id
            )

        await self.database.write(work)

    async def _refuse(self, caller: Caller, error: CeremonyRefusedError) -> None:
        _logger.info("passkey_refused", extra={"reason": str(error)})
        await self.database.record(AuditEvent.by_caller(Action.PASSKEY_REFUSED, caller))


@dataclass(frozen=True, slots=True)
class PasskeySignIns:
    """Begins sessions by passkeys alone: they say whose they are."""

    database: Database
    ceremonies: PasskeyCeremonies
    proofs: FactorProofs
    session_starts: SessionStarts
    throttle: Throttle

    def options(self) -> dict[str, Any]:
        """Return the options with which a browser asks any passkey to sign."""
        return self.ceremonies.use_options()

    async def sign_in(
        self, untrusted: Mapping[str, Any], device: Device
    ) -> tuple[User, TokenPair]:
        """Begin a session by a passkey on a device that verified its user.

        Nobody guesses a signature, so those that are right are not counted: whoever
        fails at the same address keeps nobody out.

        Raises `InvalidCredentialsError`: what the browser brought is not to be trusted,
        or served before; `TooManyAttemptsError`: it was so too often from there.
        """
        try:
            use = await self.proofs.use_of(untrusted)
            user = await self._user_of(use, untrusted_user_handle(untrusted))
        except CeremonyRefusedError as error:
            await self.throttle.reserve_of_nobody(device.address)
            self.proofs.count(Factor.PASSKEY, is_right=False)
            await self._refuse(error, device)
            raise InvalidCredentialsError from None
        self.proofs.count(Factor.PASSKEY, is_right=True)
        proof = self.proofs.proof_of(use)
        return await self.session_starts.start(
            user, device, proof.methods, spend=proof.spend
        )

    async def _user_of(self, use: PasskeyUse, user_handle: str | None) -> User:
        """Return whose passkey was used, if that is who the device says it is.

        Raises `CeremonyRefusedError`.
        """
        if not use.is_user_verified:
            raise CeremonyRefusedError("the device has not verified its user")
        user_id = use.passkey.user_id
        user = await self.database.read(lambda unit: unit.users.get(user_id))
        if user is None or user.subject != user_handle:
            raise CeremonyRefusedError("the passkey is another user's")
        if user.disabled_at is not None:
            raise CeremonyRefusedError("the user is disabled")
        return user

    async def _refuse(self, error: CeremonyRefusedError, device: Device) -> None:
        _logger.info("passkey_refused", extra={"reason": str(error)})
        await self.database.record(
            AuditEvent.without_actor(Action.SIGN_IN_REFUSED, None, device.address)
        )
