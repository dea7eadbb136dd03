"""One line for each request, as JSON or for people, written in batches by a thread.

Nothing in a line can end it: a path has been checked byte by byte, and its query,
where secrets may stand, is left out. All else is the gateway's own or the operator's.
"""

import asyncio
import json
import logging
import os
import time
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Final

from gateway_service.http1.exchange import CLIENT_GONE, Exchange
from service_kit.observability.line_writer import LineWriter
from service_kit.observability.log_format import (
    LogFormat,
    is_coloured,
    text_line,
    time_of_day,
)
from service_kit.observability.logs import FLUSH_SECONDS

INTERVAL: Final = 0.25
"""Seconds that a line waits at most for others to be written with."""

_TOGETHER: Final = 256
"""Lines that are written at once: joining thousands would be felt as a pause."""

_PATH_LIMIT: Final = 1_024
"""Bytes of a path that are logged."""

_TIMES: Final = '"seconds": %.6f, "upstream_seconds": %.6f'
_FRACTIONS: Final = [f".{each:03d}Z" for each in range(1000)]
"""Apart from the rest of a line, which needs no formats, so it is quicker made."""

_STANDARD_OUTPUT: Final = "-"
_STDOUT: Final = 1
_OFF: Final = "off"
_MODE: Final = 0o640

_logger: Final = logging.getLogger(__name__)


class AccessLog:
    """Collects lines and writes them.

    ``target`` is a file, ``-`` for standard output, or ``off``. A file that cannot be
    opened costs its lines, and is tried again with the next ones.
    """

    def __init__(
        self,
        target: str,
        loop: asyncio.AbstractEventLoop,
        log_format: LogFormat = LogFormat.JSON,
    ) -> None:
        self._target = target
        self._loop = loop
        self._line = _line_for(target, log_format)
        self._lines: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        self._writer: LineWriter | None = None
        if target != _OFF:
            self._writer = LineWriter(
                self._open, on_flowing=_report_dropped, on_error=_report
            )

    @property
    def dropped(self) -> int:
        """Lines lost because the file could not keep up."""
        return self._writer.dropped if self._writer is not None else 0

    def record(self, exchange: Exchange, client: str, seconds: float) -> None:
        """Note an exchange that is over; ``client`` is where it began."""
        if self._writer is None:
            return
        self._lines.append(self._line(exchange, client, seconds, time.time()))
        if len(self._lines) >= _TOGETHER:
            self._write_batch()
        elif self._timer is None:
            self._timer = self._loop.call_later(INTERVAL, self._write_batch)

    def reopen(self) -> None:
        """Open the file by its name again, after it was moved away."""
        if self._writer is not None:
            self._write_batch()
            self._writer.reopen()

    async def close(self) -> None:
        """Write the remaining lines, if they are read in time."""
        if self._writer is not None:
            self._write_batch()
            await asyncio.to_thread(self._writer.close, FLUSH_SECONDS)

    def _open(self) -> int:
        if self._target == _STANDARD_OUTPUT:
            return os.dup(_STDOUT)
        return _open_file(self._target)

    def _write_batch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._writer is not None and self._lines:
            self._writer.write("".join(self._lines).encode("ascii"))
            self._lines = []


_Line = Callable[[Exchange, str, float, float], str]
"""Returns the line of an exchange, its client, its seconds and when it ended."""


def _line_for(target: str, log_format: LogFormat) -> _Line:
    """Return what writes lines for a target as its readers want them."""
    if target != _STANDARD_OUTPUT:
        return _text_line if log_format is LogFormat.TEXT else access_line
    if not log_format.is_text(_STDOUT):
        return access_line
    return partial(_text_line, has_colours=is_coloured(_STDOUT, os.environ))


def target_fault(target: str) -> str | None:
    """Return why lines cannot be written to a target, or None if they can."""
    if target in {_OFF, _STANDARD_OUTPUT}:
        return None
    try:
        os.close(_open_file(target))
    except OSError as error:
        return f"{target}: cannot be opened: {error.strerror}"
    return None


def _open_file(name: str) -> int:
    """Return a descriptor that appends to a file, made if it is not there.

    A named pipe without a reader is refused, where opening it would block.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK
    descriptor = os.open(name, flags, _MODE)
    os.set_blocking(descriptor, True)
    return descriptor


def access_line(
    exchange: Exchange, client: str, seconds: float, ended_at: float
) -> str:
    """Return the line of an exchange that took so long and ended just now."""
    request = exchange.request
    second = int(ended_at)
    fraction = _FRACTIONS[int((ended_at - second) * 1000)]
    times = _TIMES % (seconds, exchange.upstream_seconds)
    places = _places(exchange.route, exchange.upstream, exchange.replica)
    return (
        f'{{"time": "{_utc(second)}{fraction}", "level": "INFO", '
        '"name": "gateway_service.access_log", "event": "request", '
        f'"request_id": "{exchange.request_id}", "trace_id": "{exchange.trace_id}", '
        f'"service": "gateway", "client": "{client}", '
        f'"peer": "{exchange.client.address}", "method": "{request.method}", '
        f'"path": "{request.path[:_PATH_LIMIT]}", '
        f'"status": {exchange.status or CLIENT_GONE}, "bytes": {exchange.bytes_sent}, '
        f"{times}, {places}\n"
    )


def _text_line(
    exchange: Exchange,
    client: str,
    seconds: float,
    ended_at: float,
    *,
    has_colours: bool = False,
) -> str:
    """Return the line of an exchange for people."""
    request = exchange.request
    fields = {
        "status": exchange.status or CLIENT_GONE,
        "ms": round(seconds * 1000, 1),
        "upstream": exchange.upstream,
        "client": client,
        "request_id": exchange.request_id,
    }
    line = text_line(
        fields,
        time=time_of_day(ended_at),
        level="INFO",
        service="gateway",
        event=f"{request.method} {request.path[:_PATH_LIMIT]}",
        is_coloured=has_colours,
    )
    return f"{line}\n"


@lru_cache(maxsize=1)
def _utc(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


@lru_cache(maxsize=1_024)
def _places(route: str, upstream: str, replica: object) -> str:
    places = {"route": route, "upstream": upstream, "replica": str(replica)}
    return json.dumps(places)[1:]


def _report_dropped(count: int) -> None:
    _logger.warning("access_log_lines_dropped", extra={"count": count})


def _report(error: OSError) -> None:
    _logger.error("access_log_failing", extra={"error": error.strerror})
