"""Writes of one turn of the event loop, made together at its end.

A write wakes the peer that waits for it. Writes made one after the other find it awake
already, which saves a wake-up for each.
"""

import asyncio
import os


class WriteBatch:
    """Writes that are made once everything received in this turn has been read."""

    __slots__ = ("_flush", "_loop", "_waiting", "number")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[tuple[asyncio.WriteTransport, bytes]] = []
        self._flush = self.flush  # bound once, not for each batch
        self.number = 0
        """Of the batch that waits; it grows when that is written."""

    def add(self, transport: asyncio.WriteTransport, data: bytes) -> None:
        """Write ``data`` at the end of this turn."""
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append((transport, data))

    def flush(self) -> None:
        """Write now; called before anything else is done to a transport."""
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            self.number += 1
            for transport, data in waiting:
                if not transport.is_closing():
                    transport.write(data)

    def write_now(self, transport: asyncio.Transport, data: bytes | memoryview) -> int:
        """Have the system take what it can at once; return how many bytes.

        It is for transports without TLS, and copies nothing.
        """
        self.flush()
        if transport.is_closing() or transport.get_write_buffer_size():
            return 0
        try:
            return os.write(transport.get_extra_info("socket").fileno(), data)
        except BlockingIOError:
            return 0
        except OSError:
            transport.write(bytes(data))  # has it end with the error
            return len(data)
