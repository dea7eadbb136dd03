"""Files that the operator names, which may be something else by mistake."""

import errno
import os
import select
import stat
import time
from typing import Final

LONGEST: Final = 4_194_304
"""Bytes: many times what a configuration or a chain of certificates needs."""

PIPE_SECONDS: Final = 60.0
"""How long a program that writes a file, as in a shell's `<(...)`, may take."""


def read_file(
    name: str | os.PathLike[str], *, longest: int = LONGEST, pipe_seconds: float = 0
) -> bytes:
    """Return a file's content; a device could keep its reader for ever.

    So could a pipe, which is refused without ``pipe_seconds``. With them it is read to
    its end; one that nobody writes to is at its end.

    Raises `OSError`: it cannot be read, is no regular file, or is too long.
    """
    descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK)
    try:
        mode = os.fstat(descriptor).st_mode
        if not (stat.S_ISREG(mode) or (pipe_seconds and stat.S_ISFIFO(mode))):
            raise OSError(errno.EINVAL, "it is not a regular file", name)
        content = _read(descriptor, longest + 1, time.monotonic() + pipe_seconds)
    finally:
        os.close(descriptor)
    if len(content) > longest:
        raise OSError(errno.EFBIG, f"it has more than {longest} bytes", name)
    return content


def _read(descriptor: int, most: int, give_up_at: float) -> bytes:
    """Return up to so many bytes; one read may return less than there is."""
    content = b""
    while len(content) < most:
        try:
            piece = os.read(descriptor, most - len(content))
        except BlockingIOError:  # somebody holds the pipe open and has yet to write
            _wait_for_data(descriptor, give_up_at)
            continue
        if not piece:
            break
        content += piece
    return content


def _wait_for_data(descriptor: int, give_up_at: float) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    seconds = give_up_at - time.monotonic()
    if seconds <= 0 or not poll.poll(seconds * 1000):
        raise TimeoutError(errno.ETIMEDOUT, "its pipe did not end in time")
