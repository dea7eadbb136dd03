"""Deferred work of connections, of which each turn of the loop does a little.

Of many requests, or many pieces of a body, in one packet the first is handled
immediately. The others wait here, so that clients that send one request at a time are
never behind them.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Final

BUDGET: Final = 0.002
"""Seconds of each turn of the loop that such work may take, of all clients together."""


class Turns:
    """A queue of work: each connection has one piece of it here at most."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Callable[[], None]] = deque()
        self._context = Context()
        """Of no request: the work of one connection is begun in the turn of another."""

    def add(self, work: Callable[[], None]) -> None:
        """Do some work in a later turn of the loop."""
        if not self._waiting:
            self._loop.call_soon(self._run, context=self._context)
        self._waiting.append(work)

    def _run(self) -> None:
        over_at = time.monotonic() + BUDGET
        for _ in range(len(self._waiting)):  # what is added now has a later turn
            # It stays in the queue meanwhile: `add` needs to start nothing.
            try:
                self._waiting[0]()
            except Exception as error:  # noqa: BLE001 - it is logged
                context = {"message": "held work failed", "exception": error}
                self._loop.call_exception_handler(context)
            self._waiting.popleft()
            if time.monotonic() >= over_at:
                break
        if self._waiting:
            self._loop.call_soon(self._run, context=self._context)
