"""Lists of secret keys: the first is used for what is new, all for what is old."""

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_SIZE: Final = 32
"""Bytes: AES-256, and as much as HMAC-SHA-256 and -384 can use with profit."""

KEY_ID_LENGTH: Final = 8
"""Hex digits of SHA-256 over the key."""

NONCE_SIZE: Final = 12
"""Bytes (NIST SP 800-38D section 5.2.1.1). Random: good for 2**32 seals under a key."""

_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+={0,2}", re.ASCII)


class KeyringError(ValueError):
    """The list of keys is not usable. Its text holds no part of a key."""


class SealBrokenError(Exception):
    """No key opens this: it was changed, belongs elsewhere, or its key is gone."""


@dataclass(frozen=True, slots=True)
class SecretKey:
    """A key and its public name."""

    id: str
    secret: bytes = field(repr=False)


class Keyring:
    """Keys in order of preference. Never empty."""

    def __init__(self, keys: Iterable[SecretKey]) -> None:
        self._keys = {key.id: key for key in keys}
        if not self._keys:
            raise KeyringError("at least one key is needed")
        self.first: Final = next(iter(self._keys.values()))

    @classmethod
    def parse(cls, encoded_keys: Iterable[str]) -> Self:
        """Return the keyring of base64url keys of 32 bytes, or raise `KeyringError`."""
        keys = [_decode(item, place) for place, item in enumerate(encoded_keys, 1)]
        if len({key.id for key in keys}) != len(keys):
            raise KeyringError("a key is listed twice")
        return cls(keys)

    def __iter__(self) -> Iterator[SecretKey]:
        return iter(self._keys.values())

    def get(self, key_id: str) -> SecretKey | None:
        """Return the key of that name, if it is on the ring."""
        return self._keys.get(key_id)

    def derive(self, purpose: str) -> "Keyring":
        """Return keys for one purpose, each made of one of these and named like it.

        HKDF-SHA-256 (RFC 5869): who learns a derived key learns no other.
        """
        return Keyring(
            SecretKey(
                key.id,
                HKDF(SHA256(), KEY_SIZE, salt=None, info=purpose.encode()).derive(
                    key.secret
                ),
            )
            for key in self
        )


class Sealer:
    """Seals small secrets with AES-256-GCM.

    Sealed form: key id (4 bytes), nonce (12), ciphertext, tag (16).
    """

    def __init__(self, keys: Keyring) -> None:
        self._keys = keys.derive("seal")

    def seal(
        self, plaintext: bytes, associated_data: bytes, *, like: bytes | None = None
    ) -> bytes:
        """Return ``plaintext`` sealed under the first key, or the one of ``like``.

        ``associated_data`` names what is sealed, such as its row, so that a sealed
        value that was moved elsewhere does not open. A process that opens ``like``,
        which is sealed already, opens the new one, too.
        """
        key = self._keys.first if like is None else self._key_of(like)
        key_id = bytes.fromhex(key.id)
        nonce = os.urandom(NONCE_SIZE)
        return (
            key_id
            + nonce
            + AESGCM(key.secret).encrypt(nonce, plaintext, key_id + associated_data)
        )

    def open(self, sealed: bytes, associated_data: bytes) -> bytes:
        """Return what was sealed, or raise `SealBrokenError`."""
        key_id, nonce, ciphertext = _parts(sealed)
        key = self._key_of(sealed)
        try:
            return AESGCM(key.secret).decrypt(
                nonce, ciphertext, key_id + associated_data
            )
        except InvalidTag as error:
            raise SealBrokenError("changed, or sealed for another place") from error

    def reseal(self, sealed: bytes, associated_data: bytes) -> bytes | None:
        """Return it sealed under the first key, or nothing if it already is.

        Raises `SealBrokenError`: it does not open.
        """
        plaintext = self.open(sealed, associated_data)
        if sealed.startswith(bytes.fromhex(self._keys.first.id)):
            return None
        return self.seal(plaintext, associated_data)

    def _key_of(self, sealed: bytes) -> SecretKey:
        key_id, _, _ = _parts(sealed)
        key = self._keys.get(key_id.hex())
        if key is None:
            raise SealBrokenError("its key is not on the keyring")
        return key


def _parts(sealed: bytes) -> tuple[bytes, bytes, bytes]:
    id_size = KEY_ID_LENGTH // 2
    body = id_size + NONCE_SIZE
    if len(sealed) < body:
        raise SealBrokenError("too short")
    return sealed[:id_size], sealed[id_size:body], sealed[body:]


def _decode(encoded: str, place: int) -> SecretKey:
    problem = KeyringError(f"key {place} is not base64url of {KEY_SIZE} bytes")
    stripped = encoded.strip()
    if not _BASE64URL.fullmatch(stripped):
        raise problem
    unpadded = stripped.rstrip("=")
    try:
        secret = base64.urlsafe_b64decode(unpadded + "=" * (-len(unpadded) % 4))
    except binascii.Error:
        raise problem from None
    if len(secret) != KEY_SIZE:
        raise problem
    return SecretKey(hashlib.sha256(secret).hexdigest()[:KEY_ID_LENGTH], secret)
