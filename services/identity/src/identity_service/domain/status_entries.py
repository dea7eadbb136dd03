"""Where in the status lists each access token has its entry."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

LIST_SIZE: Final = 2**17
"""Entries of every list, used or not, so that its size tells nothing: 16 KiB raw."""

LEASE_SIZE: Final = 256
"""Positions a process takes at once. It loses at most so many when it dies."""

LEASE_LIFETIME: Final = timedelta(hours=1)
"""How long a process uses the positions it has taken."""

CLOSING_TIME: Final = 2 * LEASE_LIFETIME
"""How long after its successor's first day a list may still get a new token.

The lease's lifetime, and as much again for clocks and transactions that are late.
"""

_PATH: Final = "/api/auth/statuslists/"
_LIST_ID: Final = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)

_RIGHT_BITS: Final = 8
_RIGHT: Final = (1 << _RIGHT_BITS) - 1
_LEFT: Final = LIST_SIZE - 1 >> _RIGHT_BITS
_ROUNDS: Final = 4
"""Of a Feistel network: four make a strong permutation (Luby and Rackoff)."""


def list_uri(issuer: str, list_id: int) -> str:
    """Return the name of a list, which is also where it is had."""
    return f"{issuer}{_PATH}{list_id}"


def list_id_of(issuer: str, uri: str) -> int | None:
    """Return which list has this name, None if none of ours can."""
    prefix = f"{issuer}{_PATH}"
    digits = uri.removeprefix(prefix)
    is_ours = uri.startswith(prefix) and _LIST_ID.fullmatch(digits)
    return int(digits) if is_ours else None


def list_bytes(revoked: Iterable[int]) -> bytes:
    """Return a whole list of one-bit entries, those of revoked tokens set.

    Entry i is in byte i // 8, counted from the lowest bit
    (draft-ietf-oauth-status-list section 4.1).
    """
    entries = bytearray(LIST_SIZE // 8)
    for idx in revoked:
        entries[idx >> 3] |= 1 << (idx & 7)
    return bytes(entries)


def permuted(position: int, key: bytes) -> int:
    """Return the entry of the n-th token of a list.

    Each position has an entry of its own, and nobody without the key can tell from
    an entry when its token was issued or which entries are its neighbours'.
    """
    left, right = position >> _RIGHT_BITS, position & _RIGHT
    for step in range(_ROUNDS):
        left ^= _mixed(key, 2 * step, right) & _LEFT
        right ^= _mixed(key, 2 * step + 1, left) & _RIGHT
    return left << _RIGHT_BITS | right


def _mixed(key: bytes, step: int, half: int) -> int:
    message = bytes((step,)) + half.to_bytes(2)
    return int.from_bytes(hashlib.blake2s(message, key=key, digest_size=2).digest())


@dataclass(slots=True)
class Lease:
    """Positions of one list that one process alone may use, each once."""

    list_id: int
    key: bytes
    next_position: int
    end: int
    expires_at: datetime

    def take(self, now: datetime) -> tuple[int, int] | None:
        """Return the list and entry of the next position, or None if there is none."""
        if self.next_position >= self.end or now >= self.expires_at:
            return None
        position, self.next_position = self.next_position, self.next_position + 1
        return self.list_id, permuted(position, self.key)

    def left(self, now: datetime) -> int:
        """Return how many positions can still be taken."""
        return 0 if now >= self.expires_at else self.end - self.next_position
