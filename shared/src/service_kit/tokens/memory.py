"""What was verified before, so that it need not be verified again."""

from collections import deque
from hashlib import blake2b
from typing import Final, NamedTuple

from service_kit.tokens.claims import AccessClaims
from service_kit.tokens.key_set import VerificationKey

CAPACITY: Final = 16_384
"""Tokens. About 0.6 kB each, so 10 MB when full, however many tokens there are."""

_DIGEST_SIZE: Final = 32
"""Bytes: no two tokens have the same digest."""


class Remembered(NamedTuple):
    """A token's claims, and the key whose word they rest on."""

    claims: AccessClaims
    key: VerificationKey


class VerifiedTokens:
    """The latest tokens found good, by digest; the oldest make room for new ones.

    It only stores: whether the token has expired, whether its key is still trusted and
    whether it is revoked must be checked each time.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._entries: dict[bytes, Remembered] = {}
        self._oldest_first: deque[bytes] = deque()
        self._capacity = capacity

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, untrusted_token: str) -> Remembered | None:
        """Return what is remembered of an ASCII token."""
        return self._entries.get(_digest(untrusted_token))

    def remember(self, token: str, claims: AccessClaims, key: VerificationKey) -> None:
        """Keep what was verified, in place of the oldest if memory is full."""
        if self._capacity == 0:
            return
        if len(self._oldest_first) == self._capacity:
            self._entries.pop(self._oldest_first.popleft(), None)
        digest = _digest(token)
        self._oldest_first.append(digest)
        self._entries[digest] = Remembered(claims, key)

    def forget(self, token: str) -> None:
        """Drop what is no longer to be believed; its place is freed in its turn."""
        self._entries.pop(_digest(token), None)


def _digest(untrusted_token: str) -> bytes:
    """Return the name that a token is remembered by; itself is not kept."""
    return blake2b(untrusted_token.encode(), digest_size=_DIGEST_SIZE).digest()
