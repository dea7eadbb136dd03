"""Reauthenticate signed-in users."""

from dataclasses import dataclass

from identity_service.domain.accounts.users import User
from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.errors import WrongPasswordError, WrongProofError
from identity_service.domain.sessions.authentication import Method
from identity_service.domain.sessions.sessions import Caller
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.usecases.factors.changes import renew_authentication
from identity_service.usecases.factors.proofs import FactorProofs, Proof, UntrustedProof
from identity_service.usecases.limits.throttling import Throttle
from identity_service.usecases.passwords import Passwords
from identity_service.usecases.sessions.starts import spend_nothing
from identity_service.usecases.users import Users


@dataclass(frozen=True, slots=True)
class FreshChecks:
    """Records in sessions that their users have reauthenticated."""

    database: Database
    users: Users
    passwords: Passwords
    proofs: FactorProofs
    throttle: Throttle

    async def by_password(self, caller: Caller, password: str) -> None:
        """Record that the caller has proved knowledge of their password.

        Raises `WrongProofError`; `TooManyAttemptsError`, `HashingBusyError`: not now.
        """
        user = await self.users.get(caller.user_id)
        try:
            await self.passwords.confirm(user, password, caller)
        except WrongPasswordError:
            raise WrongProofError from None
        proof = Proof(frozenset({Method.PASSWORD}), spend_nothing)
        await self._note(caller, user, proof)

    async def by_factor(self, caller: Caller, untrusted: UntrustedProof) -> None:
        """Record that the caller has proved possession of a second factor.

        Raises `WrongProofError`; `TooManyAttemptsError`: not now.
        """
        user = await self.users.get(caller.user_id)
        reservation = await self.throttle.reserve_proof(user.username_key, caller)
        proof = await self.proofs.judge(user.id, untrusted)
        if proof is None:
            event = AuditEvent.by_caller(Action.FRESH_CHECK_REFUSED, caller)
            await self.database.record(event)
            raise WrongProofError
        await self._note(caller, user, proof)
        await reservation.succeeded()

    async def _note(self, caller: Caller, user: User, proof: Proof) -> None:
        """Spend a proof and record it in the caller's session.

        Raises `WrongProofError`: it is spent, or it was of a password that has been
        changed.
        """

        async def work(unit: Repositories) -> bool:
            locked = await unit.users.lock(user.id)
            if (
                locked is None
                or not locked.still_admits(user)
                or not await proof.spend(unit)
                or not await renew_authentication(unit, caller, proof.methods)
            ):
                unit.record(AuditEvent.by_caller(Action.FRESH_CHECK_REFUSED, caller))
                return False
            methods = " ".join(sorted(proof.methods))
            unit.record(
                AuditEvent.by_caller(Action.FRESH_CHECK, caller, methods=methods)
            )
            return True

        if not await self.database.write(work):
            raise WrongProofError
