"""Base64url as JOSE writes it: no padding, and one spelling for each value."""

from binascii import a2b_base64, b2a_base64
from typing import Final

_FROM_BASE64: Final = bytes.maketrans(b"+/", b"-_")
_TO_BASE64: Final = bytes.maketrans(b"-_", b"+/")


def encode(data: bytes) -> str:
    """Return the data as base64url without padding (RFC 7515 section 2)."""
    return _encoded(data).decode()


def decode(untrusted: str) -> bytes:
    """Return the data.

    Encoding it again and comparing refuses padding, foreign characters and stray bits
    in the last character, each of which Python's decoder forgives.

    Raises
    ------
    ValueError
        The text is not what `encode` gives for any data.
    """
    text = untrusted.encode("ascii")
    data = a2b_base64(text.translate(_TO_BASE64) + b"=" * (-len(text) % 4))
    if _encoded(data) != text:
        raise ValueError("not canonical base64url")
    return data


def _encoded(data: bytes) -> bytes:
    return b2a_base64(data, newline=False).translate(_FROM_BASE64).rstrip(b"=")
