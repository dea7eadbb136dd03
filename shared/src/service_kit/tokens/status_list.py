"""The status of very many tokens in very few bytes.

Wire format of draft-ietf-oauth-status-list-20, section 4: entry i of a list with b
bits an entry is in byte i * b // 8, shifted by i * b % 8 from the lowest bit; the
bytes are compressed with zlib and written as base64url.
"""

import zlib
from enum import IntEnum
from typing import Any, Final, Self

from service_kit.tokens import base64url

MAX_BYTES: Final = 16 * 1024 * 1024
"""A decompressed list may have so many: 134 million one-bit entries."""

_ENTRY_BITS: Final = frozenset({1, 2, 4, 8})
_BEST: Final = 9
"""The strongest compression, as the draft asks: lists are read far more than made."""


class Status(IntEnum):
    """The values that the draft names; others are the application's."""

    VALID = 0
    INVALID = 1
    SUSPENDED = 2


class StatusList:
    """A list of statuses, by index; one may be set, which is for its issuer only."""

    def __init__(self, data: bytes, *, bits: int = 1) -> None:
        if bits not in _ENTRY_BITS:
            raise ValueError("an entry has 1, 2, 4 or 8 bits")
        self._bytes = bytearray(data)
        self._bits = bits
        self._mask = (1 << bits) - 1
        self._size = len(data) * 8 // bits

    @classmethod
    def of_size(cls, entries: int, *, bits: int = 1) -> Self:
        """Return a list of that many entries, each of them valid."""
        return cls(bytes((entries * bits + 7) // 8), bits=bits)

    @classmethod
    def from_claim(cls, untrusted: object) -> Self:
        """Return the list that a ``status_list`` claim holds.

        Raises `ValueError`: it holds none, or one that is too large.
        """
        match untrusted:
            case {"bits": int(bits), "lst": str(lst)} if not isinstance(bits, bool):
                return cls(_decompressed(base64url.decode(lst)), bits=bits)
            case _:
                raise ValueError("not a status list")

    def to_claim(self) -> dict[str, Any]:
        """Return the list as the ``status_list`` claim."""
        lst = base64url.encode(zlib.compress(self._bytes, _BEST))
        return {"bits": self._bits, "lst": lst}

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, idx: int) -> int:
        if not 0 <= idx < self._size:
            raise IndexError(idx)
        bit = idx * self._bits
        return self._bytes[bit >> 3] >> (bit & 7) & self._mask

    def __setitem__(self, idx: int, status: int) -> None:
        if not 0 <= status <= self._mask:
            raise ValueError(f"{status} does not fit in {self._bits} bits")
        if not 0 <= idx < self._size:
            raise IndexError(idx)
        byte, shift = divmod(idx * self._bits, 8)
        kept = self._bytes[byte] & ~(self._mask << shift)
        self._bytes[byte] = kept | status << shift


def _decompressed(untrusted: bytes) -> bytes:
    """Return the bytes, without ever holding more of them than allowed."""
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(untrusted, MAX_BYTES + 1)
    except zlib.error as error:
        raise ValueError("not zlib") from error
    if len(data) > MAX_BYTES:
        raise ValueError("too large")
    if not inflater.eof or inflater.unused_data:
        raise ValueError("not one whole zlib stream")
    return data
