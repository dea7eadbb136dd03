"""Take turns at something that few can use at a time."""

import asyncio
from typing import Final

from identity_service.domain.limits.fair_queue import FairQueue, Path


class NoRoomError(Exception):
    """Too many wait already, most of them of one's own network."""


class FairTurns:
    """A semaphore whose waiters are served network by network, and are bounded.

    All of it happens on one event loop.
    """

    def __init__(self, at_once: int, waiting: int) -> None:
        self._at_once = at_once
        self._free = at_once
        self.room = waiting
        """How many may wait."""
        self._queue: Final[FairQueue[asyncio.Future[None]]] = FairQueue(waiting)

    @property
    def running(self) -> int:
        """How many have their turn."""
        return self._at_once - self._free

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._queue)

    def has_room(self, path: Path) -> bool:
        """Return whether `take` would not raise now."""
        if self._free:
            return True
        return not self._queue.refuses(path, asyncio.Future())

    async def take(self, path: Path) -> None:
        """Return when it is the turn of one of this network.

        Raises `NoRoomError`: immediately, or when a client of another network needs the
        room.
        """
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.Future()
        dropped = self._queue.push(path, turn)
        if dropped is not None and not dropped.done():
            dropped.set_exception(NoRoomError())
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._queue.discard(path, turn)
            elif turn.exception() is None:
                self.pass_on()
            raise

    def pass_on(self) -> None:
        """End a turn: the next one begins."""
        while len(self._queue):
            turn = self._queue.pop()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
