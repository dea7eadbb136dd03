"""The second step of a sign-in.

The first step hands out a challenge, whether the password was right or not; what it
found is sealed in it. So without the second factor, nobody learns whether they guessed
the password (docs/decisions/0065).
"""

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Final, Self

from identity_service.domain.accounts.users import User
from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.errors import (
    InvalidCredentialsError,
    SecondFactorRequiredError,
)
from identity_service.domain.factors import Factor, Factors
from identity_service.domain.sessions.authentication import Method
from identity_service.domain.sessions.sessions import Device
from identity_service.security.challenges import Challenge, Challenges, Purpose
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.usecases.factors.proofs import FactorProofs, Proof, UntrustedProof
from identity_service.usecases.limits.throttling import Throttle
from identity_service.usecases.sessions.starts import SessionStarts
from identity_service.usecases.sessions.token_pairs import TokenPair
from service_kit.tokens import base64url

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_FORM: Final = struct.Struct(">?Bqq")
"""Of constant length, so that a challenge's length reveals nothing."""
_KEY_SIZE: Final = 256
_FILLER: Final = b"\0"
"""Bytes that the key of a name is filled up to: people may sign in by their address,
and the length of a challenge must not say whose name is found by it. Every name's key
fits (`domain.usernames`); what is nobody's may be longer, and is cut."""
_METHODS: Final = (Method.PASSWORD, Method.MAILED_CODE)


class Hiding(Enum):
    """Whose second factors, and so whose accounts, are hidden."""

    NOBODY = auto()
    ADDRESSES = auto()
    """Of users who sign in by address: sign-up does not reveal addresses either."""
    ALL = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstStep:
    """What the first step of a sign-in found."""

    username_key: str
    """The user's, or the key of what was typed where there is no such user."""
    method: Method
    user_id: int = 0
    """0 for nobody."""
    is_right: bool = False
    password_changed_at: datetime = _EPOCH

    @classmethod
    def of(
        cls, user: User | None, username_key: str, method: Method, *, is_right: bool
    ) -> Self:
        """Return what was found of a user, or of nobody."""
        if user is None:
            return cls(username_key=username_key, method=method)
        return cls(
            username_key=username_key,
            method=method,
            user_id=user.id,
            is_right=is_right,
            password_changed_at=user.password_changed_at,
        )

    def admits(self, user: User) -> bool:
        """Return whether the user may go on to a session."""
        return (
            self.is_right
            and user.disabled_at is None
            and user.password_changed_at == self.password_changed_at
        )

    def packed(self) -> bytes:
        """Return it in bytes."""
        key = self.username_key.encode("utf-8", "replace")[:_KEY_SIZE]
        return _FORM.pack(
            self.is_right,
            _METHODS.index(self.method),
            self.user_id,
            (self.password_changed_at - _EPOCH) // _MICROSECOND,
        ) + key.ljust(_KEY_SIZE, _FILLER)

    @classmethod
    def unpacked(cls, packed: bytes) -> Self:
        """Return what `packed` made bytes of."""
        is_right, method, user_id, changed_at = _FORM.unpack_from(packed)
        key = packed[_FORM.size :].rstrip(_FILLER)
        return cls(
            username_key=key.decode("utf-8", "ignore"),
            method=_METHODS[method],
            user_id=user_id,
            is_right=is_right,
            password_changed_at=_EPOCH + changed_at * _MICROSECOND,
        )


@dataclass(frozen=True, slots=True)
class SecondSteps:
    """Asks for second factors, and begins sessions with them."""

    database: Database
    challenges: Challenges
    proofs: FactorProofs
    session_starts: SessionStarts
    throttle: Throttle
    hides: Hiding

    def asked(
        self, first: FirstStep, factors: Factors, *, by_address: bool
    ) -> tuple[Factor, ...]:
        """Return the factors to ask for after a first step; none if that was enough.

        Where it is hidden who has a second factor, every refused user is asked for one.
        """
        is_hidden = self.hides is Hiding.ALL or (
            self.hides is Hiding.ADDRESSES and by_address
        )
        if is_hidden and (factors.kinds or not first.is_right):
            return tuple(Factor)
        return factors.kinds

    async def ask(
        self, first: FirstStep, factors: tuple[Factor, ...], device: Device
    ) -> SecondFactorRequiredError:
        """Return the error that asks for a second factor; it is audited.

        What was right takes as long as what was wrong.
        """
        is_right = first.is_right
        action = Action.SECOND_FACTOR_ASKED if is_right else Action.SIGN_IN_REFUSED
        await self._record(action, first.user_id, device)
        sealed = self.challenges.make(Purpose.SECOND_FACTOR, first.packed())
        return SecondFactorRequiredError(base64url.encode(sealed), factors)

    async def complete(
        self, untrusted_challenge: str, untrusted: UntrustedProof, device: Device
    ) -> tuple[User, TokenPair]:
        """Begin the session of a sign-in whose first step had this challenge.

        Raises `InvalidCredentialsError`: the first step or the second was wrong, too
        long ago, or is spent; `TooManyAttemptsError`: not now.
        """
        challenge = self._open(untrusted_challenge)
        if challenge is None:
            await self.throttle.reserve_of_nobody(device.address)
            await self._record(Action.SECOND_FACTOR_REFUSED, 0, device)
            raise InvalidCredentialsError
        first = FirstStep.unpacked(challenge.body)
        user, is_known_device, _ = await self.database.read(
            lambda unit: unit.logins.by_username_key(first.username_key, device.address)
        )
        reservation = await self.throttle.reserve_second_step(
            first.username_key,
            device.address,
            challenge.digest,
            known_device=is_known_device,
        )
        proof = await self.proofs.judge(first.user_id, untrusted)
        if (
            user is None
            or user.id != first.user_id
            or not first.admits(user)
            or proof is None
        ):
            await self._record(Action.SECOND_FACTOR_REFUSED, first.user_id, device)
            raise InvalidCredentialsError
        signed_in = await self.session_starts.start(
            user,
            device,
            proof.methods | {first.method},
            spend=lambda unit: _spend(unit, challenge, proof),
        )
        await reservation.succeeded()
        return signed_in

    def _open(self, untrusted_challenge: str) -> Challenge | None:
        try:
            sealed = base64url.decode(untrusted_challenge)
        except ValueError:
            return None
        return self.challenges.open(Purpose.SECOND_FACTOR, sealed)

    async def _record(self, action: Action, user_id: int, device: Device) -> None:
        await self.database.record(
            AuditEvent.without_actor(action, user_id or None, device.address)
        )


async def _spend(unit: Repositories, challenge: Challenge, proof: Proof) -> bool:
    return await unit.factors.spend_challenge(
        challenge.digest, challenge.expires_at
    ) and await proof.spend(unit)
