"""Tokens and codes that travel by mail: made, read, and as what is stored of them.

A token is ``base64url(id, 16 bytes || secret, 32 bytes)``: 64 characters. The id finds
its row, and so the account that a wrong secret is counted against; the secret has 256
bits, so its SHA-256 is all that need be stored. A code has 8 digits, which one could
try through: what is stored is keyed.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Final

from identity_service.domain.errors import OneTimeTokenRefusedError
from identity_service.security.keyrings import Keyring
from service_kit.tokens import base64url

ID_SIZE: Final = 16
SECRET_SIZE: Final = 32
"""Bytes."""

CODE_LENGTH: Final = 8
"""Digits. With 90 guesses a month at one account, one of a million is guessed in it."""

_FORM: Final = re.compile(r"[A-Za-z0-9_-]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class OneTimeToken:
    """A token: the name of its row, and what the row holds of its secret."""

    id: str
    digest: bytes = field(repr=False)


def make_token() -> tuple[str, OneTimeToken]:
    """Return a new token: as it travels, and as it is stored."""
    name, secret = secrets.token_bytes(ID_SIZE), secrets.token_bytes(SECRET_SIZE)
    return base64url.encode(name + secret), _token(name, secret)


def read_token(untrusted_token: str) -> OneTimeToken:
    """Return what a token names, or raise `OneTimeTokenRefusedError` if it is none.

    Says nothing of its row.
    """
    if not _FORM.fullmatch(untrusted_token):
        raise OneTimeTokenRefusedError
    decoded = base64url.decode(untrusted_token)
    return _token(decoded[:ID_SIZE], decoded[ID_SIZE:])


class MailedCodes:
    """Makes codes, and what is stored of them."""

    def __init__(self, keys: Keyring) -> None:
        self._keys = keys.derive("mailed-code")

    def make(self, user_id: int) -> tuple[str, bytes]:
        """Return a new code and what is stored of it."""
        code = f"{secrets.randbelow(10**CODE_LENGTH):0{CODE_LENGTH}}"
        return code, _mac(self._keys.first.secret, user_id, code)

    def matches(self, untrusted_code: str, user_id: int, digest: bytes) -> bool:
        """Return whether this code of this user is the stored one."""
        return any(
            hmac.compare_digest(_mac(key.secret, user_id, untrusted_code), digest)
            for key in self._keys
        )


def _token(name: bytes, secret: bytes) -> OneTimeToken:
    return OneTimeToken(name.hex(), hashlib.sha256(secret).digest())


def _mac(key: bytes, user_id: int, code: str) -> bytes:
    message = f"{user_id}/{code}".encode("utf-8", "surrogatepass")
    return hmac.digest(key, message, "sha256")
