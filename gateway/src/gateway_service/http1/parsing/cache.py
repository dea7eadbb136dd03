"""A cache of findings about frequent bytes."""

from typing import Final, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_LIMIT: Final = 1_024
"""Enough for what is usual; a flood of anything else costs no memory."""


class Cache(dict[K, V]):
    """A dictionary that is cleared when it is full. Nothing secret belongs in it."""

    def store(self, key: K, finding: V) -> V:
        """Store and return a finding."""
        if len(self) >= _LIMIT:
            self.clear()
        self[key] = finding
        return finding
