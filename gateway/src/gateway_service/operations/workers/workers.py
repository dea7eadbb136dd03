"""Several gateway processes that share the public port.

The parent only watches: it restarts a worker that dies, passes signals on, and ends
when all have ended. It binds the ports and reads the configuration, once for all, so
what a worker needs is there whenever one is started. At the end it lets go of the ports
first, and the last worker takes over the connections that wait.

What workers would each find out or count for themselves they share: the parent watches
the upstreams for all of them, and rates and connections of clients are counted in
memory that all of them map.
"""

import asyncio
import contextlib
import logging
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Coroutine
from functools import partial
from math import inf
from typing import Any, Final

from gateway_service.config.faults import ConfigError
from gateway_service.operations.workers.control import TIDY_SECONDS
from gateway_service.operations.workers.last_good import LastGood
from gateway_service.operations.workers.messages import to_line
from gateway_service.operations.workers.monitor import UpstreamMonitor
from gateway_service.operations.workers.ports import Ports
from gateway_service.operations.workers.shared_memory import SharedMemory
from gateway_service.upstreams.watching.watching import repeat
from service_kit.running.server import HELD_SIGNALS, SUPERVISOR_STOPS, UNUSABLE

_QUICK: Final = 5.0
"""A worker that lived shorter has failed to start; the next one has to wait."""
_SHORTEST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 10.0
_UNREAD_LIMIT: Final = 1_048_576
"""Bytes that wait for a worker that does not read: it may be stopped."""
_NOT_STARTED: Final = 1
"""The exit code of a worker for which there was no process."""

_logger: Final = logging.getLogger(__name__)


class Supervisor:
    """Keeps workers running until a signal stops it.

    One that has not ended ``longest_stop`` seconds after that is killed: it hangs.
    It is started with `HELD_SIGNALS` held, and its workers are, too: a signal that
    arrives before a worker serves is handled once it does.
    """

    _monitor: UpstreamMonitor

    def __init__(
        self, ports: list[Ports], last_good: LastGood, *, longest_stop: float
    ) -> None:
        self._ports = ports
        self._longest_stop = longest_stop
        self._last_good = last_good
        self._memory = SharedMemory.create(len(ports))
        self._running: dict[int, Process] = {}
        self._stopping = asyncio.Event()
        self._reloading = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> int:
        """Return the exit code once every worker has ended after a signal."""
        loop = asyncio.get_running_loop()
        deliver = partial(self._write, unread_limit=_UNREAD_LIMIT)
        self._monitor = UpstreamMonitor(loop, deliver)
        self._spawn(self._monitor.adopt(self._last_good.loaded.config))
        first = [await self._start(worker) for worker in range(len(self._ports))]
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._begin_reload)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_SIGNALS)
        self._spawn(repeat(self._tidy, TIDY_SECONDS, at_once=False))
        codes = await asyncio.gather(
            *(self._keep_running(*each) for each in enumerate(first))
        )
        for task in self._tasks:
            task.cancel()
        await self._monitor.stop()
        return max(codes)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _stop(self) -> None:
        self._stopping.set()
        for ports in self._ports:
            ports.close()
        self._signal(SUPERVISOR_STOPS)
        loop = asyncio.get_running_loop()
        loop.call_later(self._longest_stop, self._signal, signal.SIGKILL)

    def _begin_reload(self) -> None:
        self._spawn(self._reload())

    async def _reload(self) -> None:
        """Read the file again, for all workers there are and will be."""
        async with self._reloading:
            try:
                await asyncio.to_thread(self._last_good.take_over)
                config = self._last_good.loaded.config
                await self._monitor.adopt(config)
            except ConfigError as error:
                _logger.error("configuration_refused", extra={"faults": error.faults})  # noqa: TRY400
                self._write(to_line(error))
            else:
                self._write(self._monitor.lines + to_line(config))

    async def _tidy(self) -> None:
        self._monitor.deliver_all()
        await asyncio.to_thread(self._last_good.follow_certificate)

    def _write(self, lines: bytes, *, unread_limit: float = inf) -> None:
        """Write lines to each worker, also to one that reads nothing for now.

        It must not go on with an old configuration later. Reports, which are repeated,
        are left out where so many bytes wait already.
        """
        for process in self._running.values():
            stdin = process.stdin
            if stdin is None or stdin.is_closing():
                continue
            if stdin.transport.get_write_buffer_size() < unread_limit:
                stdin.write(lines)

    def _signal(self, number: signal.Signals) -> None:
        for process in self._running.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)

    async def _keep_running(self, worker: int, process: Process | None) -> int:
        """Start a worker again whenever it ends; return its code after a signal.

        One that cannot begin with what the gateway was given ends the gateway.
        """
        pause, is_first = _SHORTEST_PAUSE, True
        while True:
            started_at = time.monotonic()
            code = await self._wait(worker, process)
            if self._stopping.is_set():
                return abs(code)
            if code == UNUSABLE and is_first:
                self._stop()  # it has said why
                return code
            is_first = False
            _logger.warning("worker_ended", extra={"worker": worker, "code": code})
            is_quick = time.monotonic() - started_at < _QUICK
            pause = min(_LONGEST_PAUSE, 2 * pause) if is_quick else _SHORTEST_PAUSE
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stopping.wait()
                    return 0
            signal.pthread_sigmask(signal.SIG_BLOCK, HELD_SIGNALS)
            try:
                process = await self._start(worker)
            finally:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_SIGNALS)

    async def _wait(self, worker: int, process: Process | None) -> int:
        """Return the exit code of a worker, once it has one."""
        if process is None:
            return _NOT_STARTED
        if self._stopping.is_set():  # while it was starting, so it got no signal
            process.send_signal(SUPERVISOR_STOPS)
        code = await process.wait()
        del self._running[worker]
        self._memory.forget(worker)
        return code

    async def _start(self, worker: int) -> Process | None:
        """Start a worker, whose standard input ends when this process does."""
        ports = self._ports[worker]
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "gateway_service", "serve"),
                *("--ports", ports.argument),
                *("--shared", f"{self._memory.descriptor}/{worker}"),
                *("--workers", str(len(self._ports))),
                stdin=PIPE,
                pass_fds=(*ports.descriptors, self._memory.descriptor),
            )
        except OSError as error:
            _logger.error(  # noqa: TRY400
                "worker_not_started", extra={"worker": worker, "error": error.strerror}
            )
            return None
        self._running[worker] = process
        if process.stdin is not None:
            start = to_line(self._last_good.loaded)
            process.stdin.write(start + self._monitor.lines)
        _logger.info("worker_started", extra={"worker": worker, "pid": process.pid})
        return process
