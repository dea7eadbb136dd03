"""Several gateway processes that share one listening socket.

The parent only watches: it restarts a worker that dies, passes signals on, and ends
when all have ended. It holds the socket, so no connection is lost between two workers;
at the end it lets go of it first, and the last worker empties its queue.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import PIPE, Process
from typing import Final

from gateway_service.settings import GatewaySettings

BACKLOG: Final = 1_024
_USAGE_ERROR: Final = 2
_QUICK: Final = 5.0
"""A worker that lived shorter failed to start, and is restarted with patience."""
_LONGEST_PAUSE: Final = 10.0

_logger: Final = logging.getLogger(__name__)


class Supervisor:
    """Keeps workers running until it is told to stop."""

    def __init__(self, settings: GatewaySettings, listener: socket.socket) -> None:
        self._settings = settings
        self._listener = listener
        self._running: dict[int, Process] = {}
        self._stopping = asyncio.Event()

    async def run(self) -> int:
        """Return the exit code once every worker has ended after a signal."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._pass_on, signal.SIGHUP)
        workers = range(self._settings.workers)
        codes = await asyncio.gather(*(self._keep_running(each) for each in workers))
        return max(codes)

    def _stop(self) -> None:
        self._stopping.set()
        self._listener.close()
        self._pass_on(signal.SIGTERM)

    def _pass_on(self, number: signal.Signals) -> None:
        for process in self._running.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)

    async def _keep_running(self, worker: int) -> int:
        pause = 0.1
        while True:
            started_at = time.monotonic()
            process = await self._start(worker)
            self._running[worker] = process
            if self._stopping.is_set():
                process.terminate()
            code = await process.wait()
            del self._running[worker]
            if self._stopping.is_set():
                return abs(code)
            if code == _USAGE_ERROR:
                self._stop()
                return code
            _logger.warning("worker_ended", extra={"worker": worker, "code": code})
            is_quick = time.monotonic() - started_at < _QUICK
            pause = min(_LONGEST_PAUSE, 2 * pause) if is_quick else 0.1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stopping.wait()
                    return 0

    async def _start(self, worker: int) -> Process:
        """Start a worker, whose standard input ends when this process does."""
        descriptor = self._listener.fileno()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway_service", "serve"),
            *("--listener", str(descriptor)),
            stdin=PIPE,
            pass_fds=[descriptor],
            env=os.environ | self._environment(worker),
        )
        _logger.info("worker_started", extra={"worker": worker, "pid": process.pid})
        return process

    def _environment(self, worker: int) -> dict[str, str]:
        """Give each worker an internal port of its own, counted from the first."""
        port = self._settings.internal_port
        return {"GATEWAY_INTERNAL_PORT": str(port + worker if port else 0)}


def open_listener(settings: GatewaySettings) -> socket.socket:
    """Return the public socket, bound but not yet listening."""
    family, *_, address = socket.getaddrinfo(
        settings.host,
        settings.port,
        type=socket.SOCK_STREAM,
        flags=socket.AI_PASSIVE,
    )[0]
    return socket.create_server(address[:2], family=family, backlog=BACKLOG)


def end_with_parent(loop: asyncio.AbstractEventLoop) -> None:
    """Stop this worker like a signal does when its parent is gone."""

    def parent_gone() -> None:
        loop.remove_reader(sys.stdin)
        signal.raise_signal(signal.SIGTERM)

    loop.add_reader(sys.stdin, parent_gone)
