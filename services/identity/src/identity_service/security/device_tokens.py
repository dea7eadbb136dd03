"""Proof that a device signed in to an account before.

``base64url(random, 16 bytes || HMAC-SHA-256(random || account key), 32 bytes)``. It
opens nothing: who holds it has a count of attempts that others cannot fill.
"""

import base64
import hmac
import re
import secrets
from typing import Final

from identity_service.security.keyrings import Keyring, SecretKey

RANDOM_SIZE: Final = 16

_FORM: Final = re.compile(r"[A-Za-z0-9_-]{64}", re.ASCII)


class DeviceTokens:
    """Writes device tokens and checks them."""

    def __init__(self, keys: Keyring) -> None:
        self._keys = keys.derive("device-token")

    def write(self, account_key: str) -> str:
        """Return a token for a device that has just signed in."""
        random = secrets.token_bytes(RANDOM_SIZE)
        mac = _mac(self._keys.first, random, account_key)
        return base64.urlsafe_b64encode(random + mac).decode()

    def proves(self, untrusted_token: str, account_key: str) -> bool:
        """Tell whether the device signed in to this account before."""
        if not _FORM.fullmatch(untrusted_token):
            return False
        decoded = base64.urlsafe_b64decode(untrusted_token)
        random, mac = decoded[:RANDOM_SIZE], decoded[RANDOM_SIZE:]
        return any(
            hmac.compare_digest(_mac(key, random, account_key), mac)
            for key in self._keys
        )


def _mac(key: SecretKey, random: bytes, account_key: str) -> bytes:
    encoded = account_key.encode("utf-8", "surrogatepass")
    return hmac.digest(key.secret, random + encoded, "sha256")
