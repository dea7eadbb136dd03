"""Challenges: sealed, so that we know our own and need not store those that wait.

Accepting one spends it: its digest is stored, once.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final

from identity_service.domain.factors import CHALLENGE_LIFETIME
from identity_service.security.keyrings import Keyring, SealBrokenError, Sealer
from service_kit.clock import Clock
from service_kit.tokens import base64url

_TIME_SIZE: Final = 8
"""Bytes of seconds since the epoch."""

LONGEST: Final = 1024
"""Bytes of a challenge, sealed: many times what one has."""


class Purpose(StrEnum):
    """What a challenge is for: it opens for nothing else."""

    SECOND_FACTOR = "challenge/second-factor"
    PASSKEY_REGISTRATION = "challenge/passkey-registration"
    PASSKEY_USE = "challenge/passkey-use"


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenge of ours that has not expired."""

    body: bytes
    """What it was made for."""
    digest: str
    """Its name among those that are spent."""
    expires_at: datetime


class Challenges:
    """Makes challenges, and opens those that clients return."""

    def __init__(self, keys: Keyring, clock: Clock) -> None:
        self._sealer = Sealer(keys)
        self._clock = clock

    def make(self, purpose: Purpose, body: bytes = b"") -> bytes:
        """Return a new challenge; 28 bytes of it are unpredictable."""
        expires_at = int((self._clock() + CHALLENGE_LIFETIME).timestamp())
        return self._sealer.seal(
            expires_at.to_bytes(_TIME_SIZE) + body, purpose.encode()
        )

    def open(self, purpose: Purpose, untrusted: bytes) -> Challenge | None:
        """Return the challenge; None unless we made it for this and it is still good.

        It may be spent already: the caller has to check.
        """
        if len(untrusted) > LONGEST:
            return None
        try:
            opened = self._sealer.open(untrusted, purpose.encode())
        except SealBrokenError:
            return None
        seconds = int.from_bytes(opened[:_TIME_SIZE])
        expires_at = datetime.fromtimestamp(seconds, UTC)
        if self._clock() >= expires_at:
            return None
        digest = base64url.encode(sha256(untrusted).digest())
        return Challenge(opened[_TIME_SIZE:], digest, expires_at)
