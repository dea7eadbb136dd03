"""A bounded queue in which no network takes more than its share."""

import contextlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

Path = Sequence[str]
"""The networks of an item's client, the widest first."""


@dataclass(slots=True)
class _Network(Generic[T]):
    """What waits of one network: its own items, and those of networks in it."""

    size: int = 0
    parts: dict[str, "_Network[T]"] = field(default_factory=dict)
    """In the order in which they are served."""
    items: deque[T] = field(default_factory=deque)

    def push(self, path: Path, item: T) -> None:
        self.size += 1
        if path:
            self.parts.setdefault(path[0], _Network()).push(path[1:], item)
        else:
            self.items.append(item)

    def pop(self) -> T:
        """Take the oldest item of the part whose turn it is, which is last then."""
        self.size -= 1
        if self.items:
            return self.items.popleft()
        name = next(iter(self.parts))
        part = self.parts.pop(name)
        item = part.pop()
        if part.size:
            self.parts[name] = part
        return item

    def remove(self, path: Path, item: T) -> None:
        if path:
            part = self.parts[path[0]]
            part.remove(path[1:], item)
            if not part.size:
                del self.parts[path[0]]
        else:
            self.items.remove(item)
        self.size -= 1

    def largest(self, joining: Path) -> tuple[Path, T]:
        """Return the newest item of the largest part, and the path to it.

        Of parts of one size, the one is meant that ``joining`` leads through.
        """
        if self.items:
            return (), self.items[-1]
        own = next(iter(joining), None)
        name, part = max(
            self.parts.items(), key=lambda each: (each[1].size, each[0] == own)
        )
        inside = joining[1:] if name == own else ()
        path, item = part.largest(inside)
        return (name, *path), item


class FairQueue(Generic[T]):
    """Items of many networks, served in turns.

    Networks of one level take turns, and so do the networks inside each. A full queue
    makes room by dropping the newest item of the network that has most in it.
    """

    def __init__(self, length: int) -> None:
        self._length = length
        self._root: _Network[T] = _Network()

    def __len__(self) -> int:
        return self._root.size

    def push(self, path: Path, item: T) -> T | None:
        """Add an item; return the one that is dropped for it, maybe itself."""
        self._root.push(path, item)
        if len(self) <= self._length:
            return None
        where, dropped = self._root.largest(path)
        self._root.remove(where, dropped)
        return dropped

    def refuses(self, path: Path, item: T) -> bool:
        """Return whether `push` would drop the very item that it is given."""
        if len(self) < self._length:
            return False
        self._root.push(path, item)
        _, dropped = self._root.largest(path)
        self._root.remove(path, item)
        return dropped is item

    def pop(self) -> T:
        """Take out the item whose turn it is; raise `IndexError` if there is none."""
        if not len(self):
            raise IndexError("the queue is empty")
        return self._root.pop()

    def discard(self, path: Path, item: T) -> None:
        """Take out an item if it is in the queue."""
        with contextlib.suppress(KeyError, ValueError):
            self._root.remove(path, item)
