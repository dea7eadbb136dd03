"""Caches of findings about frequent bytes."""

from typing import Final, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_LIMIT: Final = 1_024
"""Enough for what is usual; a flood of anything else costs no memory."""


def store(cache: dict[K, V], key: K, finding: V) -> V:
    """Store and return a finding. Nothing secret belongs in a cache.

    One that is full is cleared.
    """
    if len(cache) >= _LIMIT:
        cache.clear()
    cache[key] = finding
    return finding
