"""What a start prints: its own lines, and those of the services once all are ready."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

_READ_AT_ONCE: Final = 65_536
_LONGEST_LINE: Final = 1_048_576
"""Bytes of a line that are waited for; then it is printed in pieces."""


class Console:
    """Standard output. Until `open` it keeps the services' lines in a file.

    ``on_gone`` is called when nobody reads any more, as when a terminal closes.
    """

    def __init__(self, kept: Path, on_gone: Callable[[], None]) -> None:
        self._kept = kept
        self._on_gone = on_gone
        self._file = os.open(kept, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        self._is_open = False

    def say(self, text: str) -> None:
        """Print something of the start's own."""
        self._print(f"{text}\n".encode())

    def open(self) -> None:
        """Print what the services log from now on."""
        self._is_open = True

    def replay(self) -> None:
        """Print what was kept, after a start that failed, and all that follows."""
        if not self._is_open:
            self._print(self._kept.read_bytes())
            self.open()

    async def relay(self, stream: asyncio.StreamReader) -> None:
        """Print or keep the lines of a service until it ends, each in one piece."""
        rest = b""
        while chunk := await stream.read(_READ_AT_ONCE):
            lines, end, rest = (rest + chunk).rpartition(b"\n")
            if len(rest) > _LONGEST_LINE:
                lines, rest = lines + end + rest, b""
            self._show(lines + end)
        self._show(rest)

    def _show(self, lines: bytes) -> None:
        if self._is_open:
            self._print(lines)
        else:
            os.write(self._file, lines)

    def _print(self, data: bytes) -> None:
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except OSError:  # a closed pipe, or a terminal that is gone
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            self._on_gone()
