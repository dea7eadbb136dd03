"""Refresh tokens: the name of a session, a generation, and proof that we wrote both.

``base64url(session id, 16 bytes || generation, 6 bytes || HMAC-SHA-256, 32 bytes)``:
72 characters without padding or spare bits, so a token has one spelling.
"""

import hmac
import re
from dataclasses import dataclass
from typing import Final

from identity_service.security.keyrings import Keyring, SecretKey
from service_kit.tokens import base64url

SESSION_ID_SIZE: Final = 16
GENERATION_SIZE: Final = 6
NAMES_SIZE: Final = SESSION_ID_SIZE + GENERATION_SIZE
"""Bytes of what the HMAC covers."""

_FORM: Final = re.compile(r"[A-Za-z0-9_-]{72}", re.ASCII)


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """What a refresh token says. ``session_id`` is 32 lower-case hex digits."""

    session_id: str
    generation: int


class RefreshTokens:
    """Writes refresh tokens and reads them without asking the database."""

    def __init__(self, keys: Keyring) -> None:
        self._keys = keys.derive("refresh-token")

    def write(self, token: RefreshToken) -> str:
        """Return the token as a client holds it."""
        names = bytes.fromhex(token.session_id) + token.generation.to_bytes(
            GENERATION_SIZE
        )
        if len(names) != NAMES_SIZE:
            raise ValueError("a session id is 16 bytes in hex")
        return base64url.encode(names + _mac(self._keys.first, names))

    def read(self, untrusted_token: str) -> RefreshToken | None:
        """Return what the token says, or nothing unless one of our keys signed it.

        Says nothing of the session: it may have ended, or the generation be spent.
        """
        if not _FORM.fullmatch(untrusted_token):
            return None
        decoded = base64url.decode(untrusted_token)
        names, mac = decoded[:NAMES_SIZE], decoded[NAMES_SIZE:]
        if not any(hmac.compare_digest(_mac(key, names), mac) for key in self._keys):
            return None
        return RefreshToken(
            session_id=names[:SESSION_ID_SIZE].hex(),
            generation=int.from_bytes(names[SESSION_ID_SIZE:]),
        )


def _mac(key: SecretKey, names: bytes) -> bytes:
    return hmac.digest(key.secret, names, "sha256")
