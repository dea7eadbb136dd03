"""The supervisor as its worker sees it: lines on standard input, until it ends."""

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from typing import Final

from service_kit.running.server import SUPERVISOR_STOPS

_STDIN: Final = 0
_AT_ONCE: Final = 65_536


class Parent:
    """Reads standard input, which ends when the supervisor does."""

    def __init__(self) -> None:
        self._rest = b""

    def read_line(self) -> bytes:
        """Return the next line, waiting for it; empty if the supervisor is gone."""
        while b"\n" not in self._rest:
            data = os.read(_STDIN, _AT_ONCE)
            if not data:
                return b""
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def follow(
        self,
        loop: asyncio.AbstractEventLoop,
        deliver: Callable[[Sequence[bytes]], None],
    ) -> None:
        """Deliver received lines; at their end stop this process."""

        def read() -> None:
            data = os.read(_STDIN, _AT_ONCE)
            if not data:
                loop.remove_reader(_STDIN)
                signal.raise_signal(SUPERVISOR_STOPS)
            hand_on(data)

        def hand_on(data: bytes) -> None:
            *lines, self._rest = (self._rest + data).split(b"\n")
            deliver(lines)

        hand_on(b"")
        loop.add_reader(_STDIN, read)
