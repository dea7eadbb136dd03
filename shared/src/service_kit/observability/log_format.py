"""The formats of logs, and lines for people."""

import json
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

STDERR: Final = 2

_PLAIN: Final = re.compile(r"[!#-<>-~]+", re.ASCII)
"""A value that needs no quotes: it has no space, no quote and no sign of equality."""

_BLOCKS: Final = frozenset({"exc_info", "stack_info"})
"""Fields of several lines, which Python itself writes."""

_LEVEL_WIDTH: Final = 7
_SERVICE_WIDTH: Final = 8
_EVENT_WIDTH: Final = 24

_RESET: Final = "\x1b[0m"
_DIM: Final = "\x1b[2m"
_LEVEL_COLOURS: Final = {
    "DEBUG": _DIM,
    "INFO": "\x1b[32m",
    "WARNING": "\x1b[33m",
    "ERROR": "\x1b[31m",
    "CRITICAL": "\x1b[1;31m",
}


class LogFormat(StrEnum):
    """How the lines of a log are written."""

    AUTO = "auto"
    """Text on a terminal, JSON elsewhere."""
    TEXT = "text"
    JSON = "json"

    def is_text(self, descriptor: int) -> bool:
        """Whether lines that go to this descriptor are for people."""
        if self is LogFormat.AUTO:
            return os.isatty(descriptor)
        return self is LogFormat.TEXT


def is_coloured(descriptor: int, environ: Mapping[str, str]) -> bool:
    """Whether the reader of a descriptor wants colours.

    ``NO_COLOR`` and ``FORCE_COLOR`` decide; without them a terminal does.
    """
    if environ.get("NO_COLOR"):
        return False
    return bool(environ.get("FORCE_COLOR")) or os.isatty(descriptor)


def time_of_day(moment: float) -> str:
    """Return this machine's time of day, to the millisecond."""
    local = datetime.fromtimestamp(moment, UTC).astimezone()
    return local.time().isoformat("milliseconds")


def text_line(
    fields: Mapping[str, object],
    *,
    time: str,
    level: str,
    service: str,
    event: str,
    is_coloured: bool,
) -> str:
    """Return a line without its end; the lines of a traceback follow it, indented.

    Nothing in it can begin another line or steer a terminal: all but printable ASCII
    is escaped.
    """
    blocks = {name: str(fields[name]) for name in _BLOCKS if fields.get(name)}
    words = [_printable(event).ljust(_EVENT_WIDTH)]
    for name, value in fields.items():
        if name not in _BLOCKS:
            label = _painted(f"{name}=", _DIM) if is_coloured else f"{name}="
            words.append(f"{label}{_word(value)}")
    shown_level = level.ljust(_LEVEL_WIDTH)
    if is_coloured:
        shown_level = _painted(shown_level, _LEVEL_COLOURS.get(level, ""))
    head = f"{time} {shown_level} {service.ljust(_SERVICE_WIDTH)} "
    lines = [head + " ".join(words).rstrip()]
    for block in blocks.values():
        lines += [f"    {_printable(line)}" for line in block.splitlines()]
    return "\n".join(lines)


def _word(value: object) -> str:
    """Return a value without spaces, or in quotes."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    if _PLAIN.fullmatch(text):
        return text
    return json.dumps(text).replace("\x7f", "\\u007f")


def _printable(text: str) -> str:
    return text.encode("unicode_escape").decode("ascii")


def _painted(text: str, colour: str) -> str:
    return f"{colour}{text}{_RESET}"
