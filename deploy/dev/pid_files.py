"""Which processes of this tree live: each holds a lock on a file with its id.

The system lets go of a lock when its process ends, however it ends. So an id that is
locked is never one that another process got since.
"""

import fcntl
import os
import time
from pathlib import Path
from typing import Final

_SIGNED_SECONDS: Final = 1.0


class PidFile:
    """The file of one process."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def take(self) -> int | None:
        """Lock the file and sign it; None where a live process has it.

        Returns the descriptor that holds the lock until it is closed, here and in every
        process that inherits it.
        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        self.sign(os.getpid())
        return descriptor

    def sign(self, process: int) -> None:
        """Say which process has the lock."""
        self._path.write_text(str(process))

    def holder(self) -> int | None:
        """Return the id of the live process that has the lock."""
        try:
            descriptor = os.open(self._path, os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return self._signature()
        finally:
            os.close(descriptor)
        return None

    def _signature(self) -> int | None:
        """Return the id in the file, which is locked a moment before it is signed."""
        deadline = time.monotonic() + _SIGNED_SECONDS
        while not (text := self._path.read_text()):
            if time.monotonic() > deadline:
                return None
            time.sleep(_SIGNED_SECONDS / 100)
        return int(text)
