"""Check the second factors that clients present."""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from identity_service.domain.factors import Factor, TotpSecret
from identity_service.domain.sessions.authentication import Method
from identity_service.security import totp
from identity_service.security.keyrings import SealBrokenError, Sealer
from identity_service.security.passkeys import (
    CeremonyRefusedError,
    PasskeyCeremonies,
    PasskeyUse,
    untrusted_passkey_id,
)
from identity_service.security.recovery_codes import RecoveryCodes
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.usecases.sessions.starts import Spend
from service_kit.clock import Clock

OUTCOMES: Final = ("wrong", "right")

_NOBODYS: Final = totp.new_secret()
"""Compared where a user has no secret, so that it takes as long."""

_logger: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UntrustedProof:
    """A second factor as a client presents it: one of the two."""

    code: str | None = None
    """Of an authenticator app, or a recovery code."""
    credential: Mapping[str, Any] | None = None
    """What a browser has a passkey sign."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A second factor that is right, and counts once it is spent."""

    methods: frozenset[Method]
    spend: Spend


@dataclass(frozen=True, slots=True)
class FactorProofs:
    """Judges second factors. Nothing is spent until a transaction does it."""

    database: Database
    sealer: Sealer
    recovery_codes: RecoveryCodes
    ceremonies: PasskeyCeremonies
    clock: Clock
    outcomes: Counter[tuple[Factor, str]] = field(default_factory=Counter, init=False)
    """How many proofs were right or wrong, by factor."""

    async def judge(self, user_id: int, untrusted: UntrustedProof) -> Proof | None:
        """Return the proof, None if it is wrong; 0 stands for no user."""
        code = (untrusted.code or "").replace(" ", "")
        if untrusted.credential is not None:
            factor = Factor.PASSKEY
            proof = await self._by_passkey(user_id, untrusted.credential)
        elif totp.is_code(code):
            factor = Factor.TOTP
            proof = await self._by_totp(user_id, code)
        else:
            factor = Factor.RECOVERY_CODE
            proof = await self._by_recovery_code(user_id, code)
        self.count(factor, is_right=proof is not None)
        return proof

    def count(self, factor: Factor, *, is_right: bool) -> None:
        """Count what became of a proof."""
        self.outcomes[factor, OUTCOMES[is_right]] += 1

    def opened(self, stored: TotpSecret) -> str | None:
        """Return the secret; if no key opens it, log that and return None."""
        try:
            sealed = stored.sealed_secret
            return self.sealer.open(sealed, totp_place(stored.user_id)).decode()
        except SealBrokenError:
            _logger.exception("totp_secret_unreadable", extra={"user": stored.user_id})
            return None

    async def use_of(self, untrusted: Mapping[str, Any]) -> PasskeyUse:
        """Return which passkey was used, or raise `CeremonyRefusedError`."""
        passkey_id = untrusted_passkey_id(untrusted)
        passkey = await self.database.read(lambda unit: unit.passkeys.get(passkey_id))
        if passkey is None:
            raise CeremonyRefusedError("the passkey is not here")
        return self.ceremonies.judge_use(untrusted, passkey)

    def proof_of(self, use: PasskeyUse) -> Proof:
        """Return what a use of a passkey proves."""

        async def spend(unit: Repositories) -> bool:
            challenge = use.challenge
            return await unit.factors.spend_challenge(
                challenge.digest, challenge.expires_at
            ) and await unit.passkeys.use(
                use.passkey, use.sign_count, is_backed_up=use.is_backed_up
            )

        return Proof(passkey_methods(verified=use.is_user_verified), spend)

    async def _by_totp(self, user_id: int, code: str) -> Proof | None:
        stored = await self.database.read(lambda unit: unit.factors.get_totp(user_id))
        if stored is not None and stored.confirmed_at is None:
            stored = None
        secret = None if stored is None else self.opened(stored)
        after = 0 if stored is None else stored.last_step
        step = totp.matching_step(secret or _NOBODYS, code, self.clock(), after=after)
        if stored is None or step is None or secret is None:
            return None
        return Proof(
            frozenset({Method.ONE_TIME_CODE}),
            lambda unit: unit.factors.spend_step(stored, step),
        )

    async def _by_recovery_code(self, user_id: int, code: str) -> Proof | None:
        hashes = self.recovery_codes.hashes(user_id, code)
        if not await self.database.read(
            lambda unit: unit.factors.has_recovery_code(user_id, hashes)
        ):
            return None
        return Proof(
            frozenset({Method.ONE_TIME_CODE}),
            lambda unit: unit.factors.spend_recovery_code(user_id, hashes),
        )

    async def _by_passkey(
        self, user_id: int, untrusted: Mapping[str, Any]
    ) -> Proof | None:
        try:
            use = await self.use_of(untrusted)
        except CeremonyRefusedError as error:
            _logger.info("passkey_refused", extra={"reason": str(error)})
            return None
        return self.proof_of(use) if use.passkey.user_id == user_id else None


def passkey_methods(*, verified: bool) -> frozenset[Method]:
    """Return what a passkey proves; ``verified``, if the device verified its user."""
    methods = frozenset({Method.PASSKEY})
    return methods | {Method.USER_VERIFICATION} if verified else methods


def totp_place(user_id: int) -> bytes:
    """Return what a user's sealed secret is bound to: it opens for no other user."""
    return b"totp/%d" % user_id
