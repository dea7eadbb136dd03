"""Certificates of servers: how they are verified, and what is wrong with files."""

import ssl
from os import PathLike
from typing import Final

from service_kit.files import read_file

_IN_WORDS: Final = {
    "KEY_VALUES_MISMATCH": "the key is not the certificate's",
    "EE_KEY_TOO_SMALL": "the certificate's key is too short",
}
_NO_REASON: Final = frozenset({None, "PEM_LIB"})
"""What Python calls OpenSSL's complaint that it has read no PEM."""


def client_context(authorities: str | PathLike[str] | None = None) -> ssl.SSLContext:
    """Return a context that verifies servers by a file's authorities.

    None: by those of the system. From Python 3.13 on these need all that RFC 5280,
    section 4.2.1, asks of them. Those that an operator names do not: MySQL makes
    itself one without key usage.

    Raises `OSError` or `ValueError`: the file cannot be used.
    """
    if authorities is not None:
        read_file(authorities)  # OpenSSL would wait for the end of a pipe or a device
    context = ssl.create_default_context(cafile=authorities)
    if authorities is not None:
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def authorities_fault(error: OSError | ValueError) -> str:
    """Return in words why `client_context` cannot use a file."""
    match error:
        case ssl.SSLError():
            return "it holds no certificate in PEM, or a broken one"
        case OSError(strerror=str(words)):
            return words
        case _:
            return "there can be no file of this name"


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
