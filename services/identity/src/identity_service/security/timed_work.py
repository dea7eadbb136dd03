"""Count and time work that threads do."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class TimedWork:
    """How much was done, how long it took, and how much was refused."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.done = 0
        self.seconds = 0.0
        """For all that is done."""
        self.seconds_of_last = 0.0
        self.refused = 0
        """Counted by the caller that refuses work, on the event loop."""

    def timed(self, job: Callable[[], T]) -> T:
        """Do a job in this thread."""
        started_at = time.monotonic()
        try:
            return job()
        finally:
            seconds = time.monotonic() - started_at
            with self._lock:
                self.done += 1
                self.seconds += seconds
                self.seconds_of_last = seconds
