"""Base64url as JOSE writes it: no padding, and one spelling for each value."""

from binascii import a2b_base64, b2a_base64
from typing import Final

_FROM_BASE64: Final = bytes.maketrans(b"+/", b"-_")
_TO_BASE64: Final = bytes.maketrans(b"-_+/=", b"+/!!!")
"""What base64url does not know becomes what base64 does not know either."""

_LAST: Final = {0: None, 1: "", 2: "AQgw", 3: "AEIMQUYcgkosw048"}
"""By the length modulo four: the last characters whose spare bits are zero. Python's
decoder forgives others, and a value would have several spellings (RFC 4648 3.5)."""


def encode(data: bytes) -> str:
    """Return the data as base64url without padding (RFC 7515 section 2)."""
    text = b2a_base64(data, newline=False)
    return text.translate(_FROM_BASE64).rstrip(b"=").decode()


def decode(untrusted: str) -> bytes:
    """Return the data.

    Raises `ValueError`: the text is not what `encode` gives for any data.
    """
    last = _LAST[len(untrusted) % 4]
    if last is not None and untrusted[-1] not in last:
        raise ValueError("not canonical base64url")
    text = untrusted.encode("ascii").translate(_TO_BASE64)
    return a2b_base64(text + b"=" * (-len(text) % 4), strict_mode=True)
