"""Why a certificate and its key cannot be loaded, in words."""

import ssl
from typing import Final

_IN_WORDS: Final = {
    "KEY_VALUES_MISMATCH": "the key is not the certificate's",
    "EE_KEY_TOO_SMALL": "the certificate's key is too short",
}
_NO_REASON: Final = frozenset({None, "PEM_LIB"})
"""What Python calls OpenSSL's complaint that it has read no PEM."""


def key_pair_fault(error: ssl.SSLError, key: bytes) -> str:
    """Return why OpenSSL refuses a certificate with this key."""
    if b"ENCRYPTED" in key:
        return "the key has a password"
    if error.library == "PEM" or error.reason in _NO_REASON:
        return "certificate or key is not what it should be, in PEM"
    return _IN_WORDS.get(error.reason, f"OpenSSL refuses it: {error.reason}")


def no_password() -> bytes:
    """Have an encrypted key refused, where OpenSSL would ask at the terminal."""
    return b""
