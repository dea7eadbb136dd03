"""The keys that an issuer signs with, as its verifiers see them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

_PADDING: Final = PKCS1v15()
_HASH: Final = SHA256()


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """The public half of a signing key, and its name. Two are equal by value."""

    kid: str
    public_key: RSAPublicKey

    def has_signed(self, message: bytes, signature: bytes) -> bool:
        """Return whether the signature is this key's (RS256, RFC 7518 section 3.3)."""
        try:
            self.public_key.verify(signature, message, _PADDING, _HASH)
        except InvalidSignature:
            return False
        return True


class KeySet(Protocol):
    """Where a verifier finds the issuer's keys."""

    def cached(self, kid: str) -> VerificationKey | None:
        """Return the key of that name if it is here, without asking the issuer."""
        ...

    async def fetch(self, kid: str) -> VerificationKey | None:
        """Return the key of that name if the issuer vouches for it now.

        The same object is returned each time while it does: what was verified with a
        key is trusted only as long as the set still holds it.

        Raises `KeysUnavailableError`: no keys of the issuer are available at all.
        """
        ...


class StaticKeySet:
    """A set of keys that the process already has."""

    def __init__(self, keys: Iterable[VerificationKey]) -> None:
        self._keys = {key.kid: key for key in keys}

    def cached(self, kid: str) -> VerificationKey | None:
        """Return the key of that name."""
        return self._keys.get(kid)

    async def fetch(self, kid: str) -> VerificationKey | None:
        """Return the key of that name."""
        return self._keys.get(kid)
