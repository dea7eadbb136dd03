"""Let the event loop stand still, as when its process is stopped or has much to do."""

import asyncio
import socket
import time
from collections.abc import Callable


def stand_still(seconds: float) -> None:
    """Let nothing else of this loop go on for so long."""
    goes_on_at = time.monotonic() + seconds
    while time.monotonic() < goes_on_at:
        pass


class _Standstill(asyncio.Protocol):
    def __init__(self, happens: Callable[[], None], seconds: float) -> None:
        self._happens = happens
        self._seconds = seconds
        self.is_over = asyncio.Event()

    def data_received(self, _: bytes) -> None:
        self._happens()
        stand_still(self._seconds)
        self.is_over.set()


async def stand_still_while_reading(
    seconds: float, happens: Callable[[], None]
) -> None:
    """Let something happen while sockets are read, and the loop stand still then."""
    here, there = socket.socketpair()
    with here:
        transport, protocol = await asyncio.get_running_loop().create_connection(
            lambda: _Standstill(happens, seconds), sock=there
        )
        here.send(b"x")
        await protocol.is_over.wait()
        transport.close()
