"""One JSON object per line on stderr."""

import logging
import sys
from typing import Final

from pythonjsonlogger.json import JsonFormatter

from service_kit.request_id import request_id

_FORMAT: Final = "{levelname}{name}{message}{request_id}"
_RENAMES: Final = {"levelname": "level", "message": "event"}


class _RequestIdFilter(logging.Filter):
    """Adds the request id to every record of a request."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
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


def configure_logging(service: str, level: str) -> None:
    """Send this process's log to stderr; ``service`` is named in each line."""
    formatter = JsonFormatter(
        _FORMAT,
        style="{",
        rename_fields=_RENAMES,
        static_fields={"service": service},
        timestamp="time",
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    handler.addFilter(_RequestIdFilter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("aiohttp.server").addFilter(_ParseErrorFilter())
    logging.captureWarnings(capture=True)
