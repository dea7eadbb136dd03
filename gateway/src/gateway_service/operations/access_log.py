"""One JSON line for each request, written in batches by a thread.

Nothing in a line can end it: a path has been checked octet by octet, and its query,
where secrets may stand, is left out. All else is the gateway's own or the operator's.
"""

import asyncio
import json
import logging
import os
import sys
import time
from functools import lru_cache
from typing import Final

from gateway_service.http1.exchange import CLIENT_GONE, Exchange

INTERVAL: Final = 0.25
"""Seconds that a line waits at most for others to be written with."""

PENDING_LIMIT: Final = 16_777_216
"""Octets that may wait for a file that cannot keep up; then lines are dropped."""

_PATH_LIMIT: Final = 1_024
"""Octets of a path that are logged."""

_LINE: Final = (
    '{"time":"%s.%03dZ","event":"request","request_id":"%s","client":"%s",'
    '"method":"%s","path":"%s","status":%d,"bytes":%d,'
    '"seconds":%.6f,"upstream_seconds":%.6f,%s\n'
)

_STANDARD_OUTPUT: Final = "-"
_OFF: Final = "off"
_MODE: Final = 0o640

_logger: Final = logging.getLogger(__name__)


class AccessLog:
    """Collects lines and writes them.

    ``target`` is a file, ``-`` for standard output, or ``off``.
    """

    def __init__(self, target: str, loop: asyncio.AbstractEventLoop) -> None:
        self._target = target
        self._loop = loop
        self._lines: list[str] = []
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Future[None] | None = None
        self._descriptor = self._open()
        self.dropped = 0
        """Lines lost because the file could not keep up."""

    def record(self, exchange: Exchange, seconds: float) -> None:
        """Note an exchange that is over."""
        if self._descriptor is None:
            return
        if self._size > PENDING_LIMIT:
            self.dropped += 1
            return
        line = access_line(exchange, seconds, time.time())
        self._lines.append(line)
        self._size += len(line)
        if self._timer is None:
            self._timer = self._loop.call_later(INTERVAL, self._write_batch)

    def reopen(self) -> None:
        """Open the file by its name again, after it was moved away."""
        before, self._descriptor = self._descriptor, self._open()
        if before is not None and before != sys.stdout.fileno():
            os.close(before)

    async def close(self) -> None:
        """Write what is left."""
        if self._timer is not None:
            self._timer.cancel()
        if self._writing is not None:
            await self._writing
        self._write_batch()
        if self._writing is not None:
            await self._writing

    def _open(self) -> int | None:
        if self._target == _OFF:
            return None
        if self._target == _STANDARD_OUTPUT:
            return sys.stdout.fileno()
        return os.open(self._target, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _MODE)

    def _write_batch(self) -> None:
        self._timer = None
        if not self._lines or self._descriptor is None:
            return
        if self._writing is not None and not self._writing.done():
            self._timer = self._loop.call_later(INTERVAL, self._write_batch)
            return
        batch, self._lines, self._size = "".join(self._lines), [], 0
        self._writing = self._loop.run_in_executor(
            None, _write, self._descriptor, batch
        )


def access_line(exchange: Exchange, seconds: float, ended_at: float) -> str:
    """Return the line of an exchange that took so long and ended just now."""
    request = exchange.request
    second = int(ended_at)
    return _LINE % (
        _utc(second),
        (ended_at - second) * 1000,
        exchange.request_id,
        exchange.client.address,
        request.method,
        request.path[:_PATH_LIMIT],
        exchange.status or CLIENT_GONE,
        exchange.bytes_sent,
        seconds,
        exchange.upstream_seconds,
        _places(exchange.route, exchange.upstream, exchange.replica),
    )


@lru_cache(maxsize=1)
def _utc(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


@lru_cache(maxsize=1_024)
def _places(route: str, upstream: str, replica: object) -> str:
    places = {"route": route, "upstream": upstream, "replica": str(replica)}
    return json.dumps(places, separators=(",", ":"))[1:]


def _write(descriptor: int, text: str) -> None:
    data = memoryview(text.encode("ascii"))
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except OSError as error:
        _logger.error("access_log_lost", extra={"error": error.strerror})  # noqa: TRY400
