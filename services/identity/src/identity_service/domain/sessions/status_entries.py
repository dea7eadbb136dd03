"""Where in the status lists each session has its entry."""

import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

LIST_SIZE: Final = 2**17
"""Entries of every list, used or not, so that its size reveals nothing: 16 KiB raw."""

LEASE_SIZE: Final = 256
"""Positions that a process leases at a time, and loses at most when it dies."""

LEASE_LIFETIME: Final = timedelta(hours=1)
"""How long a process uses the positions it has taken."""

CLOSING_TIME: Final = 2 * LEASE_LIFETIME
"""How long after its successor began a list may still get a new session.

The lease's lifetime, and as much again for clocks and transactions that are late.
"""

KEPT_EXPIRED: Final = timedelta(minutes=5)
"""How long a revoked entry stays in its list after its last token has expired: some
verifier's clock may be slow."""

_PATH: Final = "/api/auth/statuslists/"
_NAME_SIZE: Final = 16
"""Random bytes: no list, in whatever part of a database that was lost, has the name."""
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{22}|[1-9][0-9]{0,8}", re.ASCII)
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)

_RIGHT_BITS: Final = 8
_RIGHT: Final = (1 << _RIGHT_BITS) - 1
_LEFT: Final = LIST_SIZE - 1 >> _RIGHT_BITS
_ROUNDS: Final = 4
"""Of a Feistel network: four make a strong permutation (Luby and Rackoff)."""


class StatusEntry(NamedTuple):
    """The entry of a session, which all its access tokens name."""

    list_name: str
    idx: int

    @property
    def list_number(self) -> int | None:
        """The number of a list that replicas of version 0003 know, else None."""
        is_number = _NUMBER.fullmatch(self.list_name)
        return int(self.list_name) if is_number else None


def new_list_name() -> str:
    """Return a name that no list has had or will have."""
    return secrets.token_urlsafe(_NAME_SIZE)


def list_uri(issuer: str, name: str) -> str:
    """Return where the list of this name is had."""
    return f"{issuer}{_PATH}{name}"


def list_name_of(issuer: str, uri: str) -> str | None:
    """Return the name of the list that is had there, None if none of ours can be."""
    prefix = f"{issuer}{_PATH}"
    name = uri.removeprefix(prefix)
    is_ours = uri.startswith(prefix) and _NAME.fullmatch(name)
    return name if is_ours else None


def list_bytes(revoked: Iterable[int]) -> bytes:
    """Return a whole list of one-bit entries, the revoked ones set.

    Entry i is in byte i // 8, counted from the lowest bit
    (draft-ietf-oauth-status-list section 4.1).
    """
    entries = bytearray(LIST_SIZE // 8)
    for idx in revoked:
        entries[idx >> 3] |= 1 << (idx & 7)
    return bytes(entries)


def permuted(position: int, key: bytes) -> int:
    """Return the entry of the n-th session of a list.

    Each position has an entry of its own, and nobody without the key can tell from
    an entry when its session began or which entries are its neighbours'.
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

    list_name: str
    key: bytes
    next_position: int
    end: int
    expires_at: datetime

    def take(self, now: datetime) -> StatusEntry | None:
        """Return the entry of the next position, or None if there is none."""
        if self.next_position >= self.end or now >= self.expires_at:
            return None
        position, self.next_position = self.next_position, self.next_position + 1
        return StatusEntry(self.list_name, permuted(position, self.key))

    def left(self, now: datetime) -> int:
        """Return how many positions can still be taken."""
        return 0 if now >= self.expires_at else self.end - self.next_position
