"""Enrol authenticator apps, and remove them."""

from dataclasses import dataclass, field

from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.errors import (
    FactorNotFoundError,
    TotpPresentError,
    WrongProofError,
)
from identity_service.domain.factors import APP, Factors, TotpSecret
from identity_service.domain.sessions.authentication import Method
from identity_service.domain.sessions.sessions import Caller
from identity_service.security import totp
from identity_service.security.keyrings import Sealer
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
from identity_service.usecases.factors.proofs import FactorProofs, totp_place
from identity_service.usecases.limits.throttling import Throttle
from identity_service.usecases.sessions.callers import require_session
from service_kit.clock import Clock

_NO_STEP = -1
"""Before all: no code is spent yet."""


@dataclass(frozen=True, slots=True)
class NewTotp:
    """What an authenticator app needs, shown once."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TotpEnrolment:
    """The authenticator apps of users who are signed in."""

    database: Database
    sealer: Sealer
    recovery_codes: RecoveryCodes
    proofs: FactorProofs
    throttle: Throttle
    records: FactorRecords
    clock: Clock
    issuer_name: str

    async def factors(self, user_id: int) -> Factors:
        """Return which second factors a user has."""
        return await self.database.read(lambda unit: unit.factors.of(user_id))

    async def begin(self, caller: Caller) -> NewTotp:
        """Return a new secret for the caller's app, which a code has to confirm.

        Raises `TotpPresentError`: they have an app already; `TooManyAttemptsError`.
        """
        await self.throttle.reserve_change(caller.user_id)
        user_id, secret = caller.user_id, totp.new_secret()
        stored = TotpSecret(
            user_id=user_id,
            sealed_secret=self.sealer.seal(secret.encode(), totp_place(user_id)),
            last_step=_NO_STEP,
            created_at=self.clock(),
            confirmed_at=None,
        )

        async def work(unit: Repositories) -> str:
            user = await unit.users.lock(user_id)
            present = await unit.factors.get_totp(user_id)
            if user is None or (present and present.confirmed_at is not None):
                raise TotpPresentError
            await unit.factors.put_totp(stored)
            return user.username

        username = await self.database.write(work)
        uri = totp.provisioning_uri(secret, username=username, issuer=self.issuer_name)
        return NewTotp(secret, uri)

    async def confirm(self, caller: Caller, untrusted_code: str) -> list[str]:
        """Have codes asked for from now on; return new recovery codes, once.

        The caller's session counts as one with two factors from now on. If it is the
        first factor, the others end.

        Raises `WrongProofError`: the code is wrong, or there is nothing to confirm;
        `TooManyAttemptsError`: not now.
        """
        user_id = caller.user_id
        user = await self.database.read(lambda unit: unit.users.get_existing(user_id))
        reservation = await self.throttle.reserve_proof(user.username_key, caller)

        async def work(unit: Repositories) -> list[str] | None:
            await unit.users.lock(user_id)
            stored = await unit.factors.get_totp(user_id)
            step = None if stored is None else self._step(stored, untrusted_code)
            methods = frozenset({Method.ONE_TIME_CODE})
            if (
                stored is None
                or step is None
                or not await renew_authentication(unit, caller, methods)
            ):
                unit.record(AuditEvent.by_caller(Action.TOTP_REFUSED, caller))
                return None
            ended = await end_weaker_sessions(unit, caller)
            await unit.factors.confirm_totp(user_id)
            await unit.factors.spend_step(stored, step)
            codes = await give_recovery_codes(unit, self.recovery_codes, user_id)
            await self.records.by_caller(
                unit, Action.TOTP_ENROLLED, caller, added=APP, sessions_ended=ended
            )
            return codes

        codes = await self.database.write(work)
        if codes is None:
            raise WrongProofError
        await reservation.succeeded()
        return codes

    async def remove(self, caller: Caller) -> None:
        """Remove the caller's authenticator app.

        Raises `FactorNotFoundError` or `TooManyAttemptsError`; `UserNotFoundError`:
        their session has ended meanwhile.
        """
        await self.throttle.reserve_change(caller.user_id)

        async def work(unit: Repositories) -> None:
            await unit.users.lock(caller.user_id)
            await require_session(unit, caller)
            if not (await unit.factors.of(caller.user_id)).has_totp:
                raise FactorNotFoundError
            await unit.factors.remove_totp(caller.user_id)
            await forget_factors_if_none_is_left(unit, caller.user_id)
            await self.records.by_caller(unit, Action.TOTP_REMOVED, caller)

        await self.database.write(work)

    async def renew_recovery_codes(self, caller: Caller) -> list[str]:
        """Give the caller new recovery codes in place of those they had, once.

        Raises `FactorNotFoundError`: they have no factor that the codes could stand in
        for; `TooManyAttemptsError`; `UserNotFoundError`: their session has ended
        meanwhile.
        """
        await self.throttle.reserve_change(caller.user_id)

        async def work(unit: Repositories) -> list[str]:
            await unit.users.lock(caller.user_id)
            await require_session(unit, caller)
            if not (await unit.factors.of(caller.user_id)).kinds:
                raise FactorNotFoundError
            await self.records.by_caller(unit, Action.RECOVERY_CODES_MADE, caller)
            return await give_recovery_codes(unit, self.recovery_codes, caller.user_id)

        return await self.database.write(work)

    def _step(self, stored: TotpSecret, untrusted_code: str) -> int | None:
        """Return the step of a code that confirms a secret."""
        secret = self.proofs.opened(stored)
        if secret is None or stored.confirmed_at is not None:
            return None
        code = untrusted_code.replace(" ", "")
        return totp.matching_step(secret, code, self.clock(), after=stored.last_step)
