"""The passwords that everybody tries first, as digests.

The digests stand beside this module, sorted; deploy/build_common_passwords.py makes
them from the lists of two maintained packages (docs/decisions/0030).
"""

import hashlib
from importlib.resources import files
from typing import Final

DIGEST_SIZE: Final = 6
"""Bytes kept of each SHA-256: a password not listed is refused once in 10**10."""

DATA: Final = files("identity_service.domain") / "common_passwords.digests"


def is_common(password: str) -> bool:
    """Tell whether the password is listed, in this case or another."""
    return digest(password) in _DIGESTS


def digest(password: str) -> bytes:
    """Return what the file holds of a password."""
    folded = password.casefold().encode()
    return hashlib.sha256(folded, usedforsecurity=False).digest()[:DIGEST_SIZE]


def _load() -> frozenset[bytes]:
    data = DATA.read_bytes()
    return frozenset(
        data[start : start + DIGEST_SIZE] for start in range(0, len(data), DIGEST_SIZE)
    )


_DIGESTS: Final = _load()
