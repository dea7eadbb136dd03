"""Findings about bytes that come again and again."""

from typing import Final, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_LIMIT: Final = 1_024
"""Enough for what is usual; a flood of anything else costs no memory."""


class Cache(dict[K, V]):
    """A dictionary that begins anew when it is full. Nothing secret belongs in it."""

    def store(self, key: K, finding: V) -> V:
        """Store and return a finding."""
        if len(self) >= _LIMIT:
            self.clear()
        self[key] = finding
        return finding
