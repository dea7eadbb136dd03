"""Rows of numbers that the workers of one gateway share, in memory they all map."""

import contextlib
import fcntl
import hashlib
import struct
import time
from collections.abc import Callable, Iterator
from mmap import mmap
from typing import Final

Numbers = tuple[float, ...]

SECRET_SIZE: Final = 32
"""Bytes of the secret that says where a key's row is, so that no client can choose."""

_DIGEST_SIZE: Final = 16
_WAYS: Final = 8
"""Rows in which a key may stand. When others have all of them, one makes room."""

_LOCK_SECONDS: Final = 0.1
"""To lock a few rows: after that their holder must be stopped, and is not awaited."""

_PAUSE: Final = 0.0005
"""Until it is tried again: the holder may have to wait for its core."""


class SharedRows:
    """A table in which each key has a row of numbers, zeros at first.

    Rows are locked while they change. Of a full place, the row makes room of which
    ``need`` returns least.
    """

    def __init__(
        self,
        memory: mmap,
        descriptor: int,
        *,
        start: int,
        rows: int,
        columns: int,
        secret: bytes,
        need: Callable[[Numbers], float],
    ) -> None:
        self._memory = memory
        self._descriptor = descriptor
        self._start = start
        self._places = rows // _WAYS
        self._zeros = (0.0,) * columns
        self._row = struct.Struct(f"{_DIGEST_SIZE}s{columns}d")
        self._secret = secret
        self._need = need

    @property
    def size(self) -> int:
        """Bytes of the table."""
        return self._places * _WAYS * self._row.size

    @staticmethod
    def size_for(rows: int, columns: int) -> int:
        """Return the bytes of a table of so many rows."""
        return rows * struct.calcsize(f"{_DIGEST_SIZE}s{columns}d")

    def read(self, key: str) -> Numbers:
        """Return a key's row; zeros if it has none."""
        digest, start = self._place(key)
        for at in self._rows_at(start):
            found, *numbers = self._row.unpack_from(self._memory, at)
            if found == digest:
                return tuple(numbers)
        return self._zeros

    def change(self, key: str, change: Callable[[Numbers], Numbers]) -> Numbers:
        """Replace a key's row by what ``change`` makes of it, and return that."""
        digest, start = self._place(key)
        is_known = False
        with self._locked(start):
            chosen, least, before = start, float("inf"), self._zeros
            for at in self._rows_at(start):
                found, *numbers = self._row.unpack_from(self._memory, at)
                if found == digest:
                    chosen, before, is_known = at, tuple(numbers), True
                    break
                if (need := self._need(tuple(numbers))) < least:
                    chosen, least = at, need
            after = change(before)
            if is_known or after != self._zeros:  # a row of zeros takes nobody's place
                self._row.pack_into(self._memory, chosen, digest, *after)
        return after

    def clear_column(self, column: int) -> None:
        """Set one number of every row to zero."""
        offset = struct.calcsize(f"{_DIGEST_SIZE}s{column}d")
        zero = struct.pack("d", 0.0)
        length = _WAYS * self._row.size
        for start in range(self._start, self._start + self.size, length):
            for at in self._rows_at(start):
                cell = slice(at + offset, at + offset + len(zero))
                if self._memory[cell] != zero:
                    with self._locked(start):  # or `change` would write it back
                        self._memory[cell] = zero

    def _place(self, key: str) -> tuple[bytes, int]:
        """Return the name of a key's row, and where the rows begin it may be among."""
        digest = hashlib.blake2b(
            key.encode("utf-8", "surrogateescape"),
            digest_size=_DIGEST_SIZE,
            key=self._secret,
        ).digest()
        place = int.from_bytes(digest[:8]) % self._places
        return digest, self._start + place * _WAYS * self._row.size

    def _rows_at(self, start: int) -> range:
        return range(start, start + _WAYS * self._row.size, self._row.size)

    @contextlib.contextmanager
    def _locked(self, start: int) -> Iterator[None]:
        """Keep other processes from changing the rows of a place; the system ends it.

        A process that dies holds no lock, and one that was stopped in the middle costs
        the others a count at most.
        """
        length = _WAYS * self._row.size
        give_up_at = time.monotonic() + _LOCK_SECONDS
        while not self._lock(length, start) and time.monotonic() < give_up_at:
            time.sleep(_PAUSE)
        try:
            yield
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, length, start)

    def _lock(self, length: int, start: int) -> bool:
        how = fcntl.LOCK_EX | fcntl.LOCK_NB
        try:
            fcntl.lockf(self._descriptor, how, length, start)
        except (BlockingIOError, PermissionError):  # EAGAIN or EACCES: others hold it
            return False
        return True
