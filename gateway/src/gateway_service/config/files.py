"""Files that the operator names, which may be something else by mistake."""

import errno
import os
import stat
from typing import Final

_LONGEST: Final = 1_048_576
"""Bytes: many times what a configuration or a chain of certificates needs."""


def read_file(name: str | os.PathLike[str]) -> bytes:
    """Return a file's content; a pipe or a device could keep its reader for ever.

    Raises `OSError`: it cannot be read, is no regular file, or is too long.
    """
    descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", name)
        content = os.read(descriptor, _LONGEST + 1)
    finally:
        os.close(descriptor)
    if len(content) > _LONGEST:
        raise OSError(errno.EFBIG, f"it has more than {_LONGEST} bytes", name)
    return content
