"""A line for each event on stderr, written without ever waiting for its reader.

JSON for programs, or text for the people at a terminal.
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final

from prometheus_client.core import CounterMetricFamily, Metric
from pythonjsonlogger.json import JsonFormatter

from service_kit.observability.line_writer import LineWriter
from service_kit.observability.log_format import (
    STDERR,
    LogFormat,
    is_coloured,
    text_line,
    time_of_day,
)
from service_kit.observability.request_id import (
    NO_REQUEST,
    client_request_id,
    request_id,
)
from service_kit.observability.trace_context import current_trace_id

FLUSH_SECONDS: Final = 1.0
"""How long a process that ends waits for its last lines to be read."""

_PENDING_LIMIT: Final = 4_194_304
"""Bytes of lines that may wait for a reader: some ten thousand lines."""

_FORMAT: Final = "{asctime}{levelname}{name}{message}{request_id}{trace_id}"
_RENAMES: Final = {"asctime": "time", "levelname": "level", "message": "event"}
_STANDARD_STREAMS: Final = {
    0: ("stdin", "r"),
    1: ("stdout", "w"),
    STDERR: ("stderr", "w"),
}

_OF_NO_REQUEST: Final = (("request_id", NO_REQUEST), ("trace_id", NO_REQUEST))

_logger: Final = logging.getLogger(__name__)


def configure_logging(
    service: str, level: str, log_format: LogFormat = LogFormat.AUTO
) -> None:
    """Send this process's log to stderr; ``service`` is named in each line.

    Uncaught exceptions, which Python would print, become such lines too.
    """
    claim_standard_descriptors()
    formatter_class = _TextFormatter if log_format.is_text(STDERR) else _Formatter
    formatter = formatter_class(
        _FORMAT, style="{", rename_fields=_RENAMES, static_fields={"service": service}
    )
    handler = _LineHandler()
    handler.setFormatter(formatter)
    handler.addFilter(_RequestFilter())
    root = logging.getLogger()
    before, root.handlers[:] = root.handlers[:], [handler]
    for each in before:
        each.flush()
        each.close()
    root.setLevel(level.upper())
    logging.getLogger("aiohttp.server").addFilter(_ParseErrorFilter())
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_crash
    threading.excepthook = lambda hook: _log_uncaught(hook.exc_value)
    sys.unraisablehook = lambda hook: _log_uncaught(hook.exc_value)


def flush_logs(seconds: float = FLUSH_SECONDS) -> None:
    """Return when every line has been taken, or after so many seconds."""
    for handler in _line_handlers():
        handler.writer.flush(seconds)


def claim_standard_descriptors() -> None:
    """Open the null device in place of a standard stream that is closed.

    Its number would be given to the next socket, which would then get the log, and
    Python has no stream for it that a command could read or write.
    """
    for descriptor, (name, mode) in _STANDARD_STREAMS.items():
        try:
            os.fstat(descriptor)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != descriptor:
                os.dup2(null, descriptor)
                os.close(null)
            setattr(sys, name, os.fdopen(descriptor, mode, closefd=False))


def log_metrics() -> Iterator[Metric]:
    """Yield how many lines of this process's log were lost."""
    yield CounterMetricFamily(
        "log_lines_dropped",
        "Lines of the process's log that were lost, because nobody read stderr",
        sum(handler.writer.dropped for handler in _line_handlers()),
    )


class _Formatter(JsonFormatter):
    """Spells the time in UTC as RFC 3339 does, with milliseconds."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"


class _TextFormatter(_Formatter):
    """Writes the same fields for people, with this machine's time of day."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802 - as the base class has it
        """Return the time of a record."""
        return time_of_day(record.created)

    def jsonify_log_record(self, log_data: dict[str, Any]) -> str:
        """Return the line."""
        fields = {
            name: value
            for name, value in log_data.items()
            if name != "name" and (name, value) not in _OF_NO_REQUEST
        }
        if fields.get("trace_id") == fields.get("request_id"):
            fields.pop("trace_id", None)  # it began here
        head = {
            name: fields.pop(name) for name in ("time", "level", "service", "event")
        }
        has_colours = is_coloured(STDERR, os.environ)
        return text_line(fields, **head, is_coloured=has_colours)


class _LineHandler(logging.Handler):
    """Hands each record to a writer of lines."""

    def __init__(self) -> None:
        super().__init__()
        self.writer = LineWriter(
            lambda: os.dup(STDERR), on_flowing=_report_dropped, limit=_PENDING_LIMIT
        )

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = f"{self.format(record)}\n"
        except Exception:  # noqa: BLE001 - a record that is no JSON ends nothing
            line = self._placeholder(record)
        self.writer.write(line.encode())

    def _placeholder(self, record: logging.LogRecord) -> str:
        """Return a line that says which record could not be formatted."""
        fields = {
            "name": record.name,
            "levelname": record.levelname,
            "msg": "line_not_formatted",
            "event_lost": str(record.msg),
            "request_id": request_id.get(),
            "trace_id": current_trace_id(),
        }
        return f"{self.format(logging.makeLogRecord(fields))}\n"

    def flush(self) -> None:
        self.writer.flush(FLUSH_SECONDS)

    def close(self) -> None:
        self.writer.close(0)  # logging flushes first
        super().close()


class _RequestFilter(logging.Filter):
    """Adds request and trace to every record of a request, and what its client says."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        record.trace_id = current_trace_id()
        if sent_id := client_request_id.get():
            record.client_request_id = sent_id
        return True


class _ParseErrorFilter(logging.Filter):
    """Keeps a hostile request from filling the log.

    aiohttp logs a traceback that quotes the offending bytes for each request it
    cannot parse; one short line says as much.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and type(error).__module__ == "aiohttp.http_exceptions":
            record.levelno, record.levelname = logging.INFO, "INFO"
            record.msg, record.args = "unparsable_request", ()
            record.exc_info = record.exc_text = None
        return True


def _line_handlers() -> list[_LineHandler]:
    handlers = logging.getLogger().handlers
    return [each for each in handlers if isinstance(each, _LineHandler)]


def _report_dropped(count: int) -> None:
    _logger.warning("log_lines_dropped", extra={"count": count})


def _log_crash(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    _logger.critical("crashed", exc_info=(kind, error, trace))


def _log_uncaught(error: BaseException | None) -> None:
    _logger.error("exception_not_caught", exc_info=error)
