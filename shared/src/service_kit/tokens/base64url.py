"""Base64url as JOSE writes it: no padding, and one spelling for each value."""

from base64 import urlsafe_b64decode, urlsafe_b64encode


def encode(data: bytes) -> str:
    """Return the data as base64url without padding (RFC 7515 section 2)."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(untrusted: str) -> bytes:
    """Return the data.

    Encoding it again and comparing refuses padding, foreign characters and stray bits
    in the last character, each of which Python's decoder forgives.

    Raises
    ------
    ValueError
        The text is not what `encode` gives for any data.
    """
    data = urlsafe_b64decode(untrusted + "=" * (-len(untrusted) % 4))
    if encode(data) != untrusted:
        raise ValueError("not canonical base64url")
    return data
