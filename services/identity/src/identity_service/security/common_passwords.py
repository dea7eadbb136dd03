"""The most common passwords, as digests.

The digests stand beside this module, sorted; deploy/build_common_passwords.py makes
them from the lists of two maintained packages (docs/decisions/0030).
"""

import hashlib
from importlib.resources import files
from typing import Final

DIGEST_SIZE: Final = 6
"""Bytes kept of each SHA-256: a password not listed is refused once in 10**10."""

DATA: Final = files("identity_service.security") / "common_passwords.digests"


class CommonPasswords:
    """A set of passwords, each in this case or another."""

    def __init__(self, digests: bytes) -> None:
        self._digests = frozenset(
            digests[start : start + DIGEST_SIZE]
            for start in range(0, len(digests), DIGEST_SIZE)
        )

    def __contains__(self, password: object) -> bool:
        return isinstance(password, str) and digest(password) in self._digests


def digest(password: str) -> bytes:
    """Return what the file holds of a password."""
    folded = password.casefold().encode()
    return hashlib.sha256(folded, usedforsecurity=False).digest()[:DIGEST_SIZE]


COMMON_PASSWORDS: Final = CommonPasswords(DATA.read_bytes())
"""Read with this module, as if they stood in it: the event loop never waits for it."""
