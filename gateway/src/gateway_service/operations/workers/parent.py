"""The supervisor as its worker sees it: messages on standard input, until it ends."""

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any, Final

from gateway_service.operations.workers.messages import from_line
from service_kit.running.server import SUPERVISOR_STOPS

_STDIN: Final = 0
_AT_ONCE: Final = 65_536


class Parent:
    """Reads standard input, which ends when the supervisor does."""

    def __init__(self) -> None:
        self._rest = b""

    def read(self) -> Any:  # noqa: ANN401 - whatever was sent
        """Return the next message, waiting for it; None if the supervisor is gone."""
        while b"\n" not in self._rest:
            data = os.read(_STDIN, _AT_ONCE)
            if not data:
                return None
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return from_line(line)

    def follow(
        self, loop: asyncio.AbstractEventLoop, deliver: Callable[[Any], None]
    ) -> None:
        """Deliver received messages; at their end stop this process."""

        def read() -> None:
            data = os.read(_STDIN, _AT_ONCE)
            if not data:
                loop.remove_reader(_STDIN)
                signal.raise_signal(SUPERVISOR_STOPS)
            hand_on(data)

        def hand_on(data: bytes) -> None:
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                deliver(from_line(line))

        hand_on(b"")
        loop.add_reader(_STDIN, read)
