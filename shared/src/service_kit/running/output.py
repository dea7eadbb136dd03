"""Lines for the operator, whose terminal, pipe or disk may take no more."""

import os
import sys
from collections.abc import Iterable
from typing import TextIO


class OutputLostError(Exception):
    """The output is lost; the text says why."""


def write_line(line: str) -> None:
    """Print a line; once nobody reads them, the command goes on without.

    Raises `OutputLostError`: somebody may read them, but a disk is full, for example.
    """
    error = _write(sys.stdout, [line])
    if error is not None and not isinstance(error, BrokenPipeError):
        raise OutputLostError(f"the output is lost: {error.strerror}") from error


def write_notices(*lines: str) -> None:
    """Write lines to stderr; they decide nothing, so it may be that nobody reads it."""
    _write(sys.stderr, lines)


def _write(stream: TextIO | None, lines: Iterable[str]) -> OSError | None:
    """Write lines, and return why they are lost, as all are then that follow.

    Python has no stream where the descriptor was closed at the start.
    """
    if stream is None:
        return None
    try:
        stream.writelines(f"{line}\n" for line in lines)
        stream.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return error
    return None
