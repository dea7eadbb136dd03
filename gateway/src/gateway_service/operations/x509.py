"""Read when a certificate expires, which Python's ssl reports only for peers."""

import base64
import re
from datetime import UTC, datetime
from typing import Final

_FIRST: Final = re.compile(
    rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----([^-]+)-----END"
)
"""The server's own, by the names that OpenSSL takes; those of authorities follow."""

_VERSION: Final = 0xA0
_UTC_TIME: Final = 0x17
_LONG_LENGTH: Final = 0x80
_FIELDS_BEFORE_VALIDITY: Final = 3
"""Serial number, signature algorithm, issuer (RFC 5280, 4.1)."""


def not_after(pem: bytes) -> datetime:
    """Return when the first certificate of a file that OpenSSL has loaded expires."""
    found = _FIRST.search(pem)
    if found is None:
        raise ValueError("no certificate")
    _, certificate, _ = _element(base64.b64decode(found[1]))
    _, rest, _ = _element(certificate)
    tag, _, after_version = _element(rest)
    if tag == _VERSION:
        rest = after_version
    for _ in range(_FIELDS_BEFORE_VALIDITY):
        _, _, rest = _element(rest)
    _, validity, _ = _element(rest)
    _, _, after_begin = _element(validity)
    tag, text, _ = _element(after_begin)
    return _moment(text.decode("ascii"), has_century=tag != _UTC_TIME)


def _element(der: bytes) -> tuple[int, bytes, bytes]:
    """Return tag and content of the first element, and what follows it."""
    tag, length, start = der[0], der[1], 2
    if length & _LONG_LENGTH:
        start += length & ~_LONG_LENGTH
        length = int.from_bytes(der[2:start], "big")
    return tag, der[start : start + length], der[start + length :]


def _moment(text: str, *, has_century: bool) -> datetime:
    """Return a time as RFC 5280, 4.1.2.5 has it written: of 50 on means 1950 on."""
    if not has_century:
        text = ("19" if text >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
