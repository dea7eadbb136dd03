"""Bytes on their way from one connection to another, a few at a time."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

HIGH_WATER: Final = 65_536
"""Bytes that may wait before the sender is no longer read from."""

_AT_ONCE: Final = 4
"""Reads that are passed on in one turn of the loop; then it is the others' turn."""


Sink = Callable[[bytes | memoryview], int]
"""Takes what it can of some bytes at once, and returns how many those were."""


class Source(Protocol):
    """The connection that feeds a stream."""

    def is_closing(self) -> bool:
        """Whether nothing more comes."""

    def pause_reading(self) -> None:
        """Let TCP tell the peer to wait."""

    def resume_reading(self) -> None:
        """Read on."""


class _Gone:
    """Stands in for a connection that is gone."""

    def is_closing(self) -> bool:
        return True

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


_GONE: Final = _Gone()


class Stream:
    """A body between the connection that receives it and the one that sends it on.

    When the reader falls behind, the connection that feeds the stream stops reading,
    so TCP makes the peer wait: it holds no more than the high water, plus one read.
    """

    __slots__ = (
        "_chunks",
        "_ended",
        "_error",
        "_gathered",
        "_is_awaited",
        "_loop",
        "_paused",
        "_sink",
        "_size",
        "_source",
        "_taken",
        "_waiter",
    )

    def __init__(self, source: Source, loop: asyncio.AbstractEventLoop) -> None:
        self._source = source
        self._loop = loop
        self._chunks: list[bytes] = []
        self._size = 0
        self._gathered = 0
        self._paused = False
        self._ended = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._sink: Sink | None = None
        self._taken = 0
        """Reads that the sink was offered in this turn."""
        self._is_awaited = False
        """Whether the reader has passed on all that it took."""

    @property
    def is_paused(self) -> bool:
        """Whether the stream waits for its reader, not for the peer."""
        return self._paused

    @property
    def is_complete(self) -> bool:
        """Whether the peer has sent the whole of it."""
        return self._ended

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits to be read."""
        return not self._chunks

    @property
    def held(self) -> int:
        """Bytes that wait to be read, or for others to be gathered with."""
        return self._size + self._gathered

    def offer_to(self, sink: Sink) -> None:
        """Offer to ``sink`` what comes while the reader has nothing left to pass on."""
        self._sink = sink
        self._is_awaited = True

    def feed(self, data: bytes | memoryview) -> None:
        """Add what the peer sent, less what the sink takes.

        What a fast peer sends beyond a few reads waits for the next turn.
        """
        if not data or self._error is not None:
            return
        sink = self._sink if self._is_awaited and not self._chunks else None
        if sink is not None and self._taken < _AT_ONCE:
            if not self._taken:
                self._loop.call_soon(self._begin_turn)
            self._taken += 1
            taken = sink(data)
            if taken == len(data):
                return
            data = data[taken:]
        self._chunks.append(bytes(data))
        self._size += len(data)
        if self._size > HIGH_WATER and not self._paused:
            self._paused = True
            self._source.pause_reading()
        self._wake()

    def _begin_turn(self) -> None:
        self._taken = 0

    def end(self) -> None:
        """Mark the body as complete."""
        self._ended = self._error is None
        self._sink = None
        self._wake()

    def detach(self) -> None:
        """Forget the connection, which is gone."""
        self._source = _GONE
        self._sink = None

    def fail(self, error: Exception) -> None:
        """End an incomplete body; the reader gets ``error``."""
        if not self._ended and self._error is None:
            self._error = error
            self._sink = None
            self._wake()

    async def read(self) -> bytes:
        """Return what was received, waiting for at least one byte; b"" is the end."""
        while not self._chunks:
            if self._error is not None:
                raise self._error
            if self._ended:
                return b""
            self._resume()
            self._waiter = self._loop.create_future()
            self._is_awaited = True
            try:
                await self._waiter
            finally:
                self._waiter = None
                self._is_awaited = False
        return self._take()

    async def gather(self, limit: int) -> bytes:
        """Return the body when it is complete, or what exceeds ``limit``."""
        gathered = b""
        while not (self._ended and not self._chunks) and len(gathered) <= limit:
            gathered += await self.read()
            self._gathered = len(gathered)
        self._gathered = 0
        return gathered

    def _take(self) -> bytes:
        chunks = self._chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self._is_awaited = False
        self._chunks = []
        self._size = 0
        if self._ended:
            self._resume()
        return data

    def _resume(self) -> None:
        """Let the connection read on.

        Until the body is complete that is when its reader comes for more, and not
        while it still passes on what it took: one read may bring 256 kB.
        """
        if self._paused:
            self._paused = False
            if not self._source.is_closing():
                self._source.resume_reading()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class WriteBuffer:
    """The sending half of a connection: makes writers wait while the peer is slow."""

    __slots__ = ("_is_full", "_is_lost", "_loop", "_waiter")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._is_full = False
        self._is_lost = False
        self._waiter: asyncio.Future[None] | None = None

    @property
    def is_full(self) -> bool:
        """Whether the peer has yet to take what was written."""
        return self._is_full

    def pause(self) -> None:
        """Let writers wait."""
        self._is_full = True

    def resume(self) -> None:
        """Let writers go on."""
        self._is_full = False
        self._wake()

    def lost(self) -> None:
        """Mark the connection as gone."""
        self._is_lost = True
        self._wake()

    async def drain(self) -> None:
        """Wait until the peer has taken most of what was written.

        Raises `ConnectionResetError`: the connection is gone.
        """
        while self._is_full and not self._is_lost:
            self._waiter = self._loop.create_future()
            await self._waiter
        if self._is_lost:
            raise ConnectionResetError

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
