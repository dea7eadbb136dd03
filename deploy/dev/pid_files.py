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
"""How long it may take to sign a file that has been locked."""
_STANDS_SECONDS: Final = 0.05
"""After which a signature is the holder's: an earlier one is replaced at once."""
_LOOKED_SECONDS: Final = 0.5
"""For how long, at most, others look whether a file is locked, which locks it, too."""
_PAUSE_SECONDS: Final = 0.01


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
        deadline = time.monotonic() + _LOOKED_SECONDS
        while not _locked(descriptor, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                os.close(descriptor)
                return None
            time.sleep(_PAUSE_SECONDS)
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
            # Shared, so that two who look do not take each other for the holder.
            is_free = _locked(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)
        return None if is_free else self._signature()

    def _signature(self) -> int | None:
        """Return the id in the file, which is locked a moment before it is signed."""
        deadline = time.monotonic() + _SIGNED_SECONDS
        text = ""
        while time.monotonic() < deadline:
            before, text = text, self._path.read_text()
            if text.isdecimal() and text == before:
                return int(text)
            time.sleep(_STANDS_SECONDS)
        return None


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
