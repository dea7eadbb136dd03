"""Write lines to a file or a pipe without blocking."""

import os
import select
import stat
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

PENDING_LIMIT: Final = 16_777_216
"""Bytes that may wait for a reader that cannot keep up; then lines are dropped."""

_ATOMIC: Final = 4_096
"""Bytes that Linux writes to a pipe atomically (PIPE_BUF): processes that share a pipe
do not mix their lines, and one that ends does not leave half a line."""

_LINE_END: Final = ord("\n")

_REOPEN: Final = b"reopen"
"""In the queue: the target is reopened before the next lines."""


def _nothing(_: object) -> None: ...


class LineWriter:
    """Writes lines in a thread, in order, and counts those it drops.

    The thread alone writes to the descriptor that ``open_target`` returns, and it alone
    closes it, so its number cannot have been reused meanwhile. The thread calls
    ``on_error`` when writing or opening begins to fail, which is tried again with the
    next lines, and ``on_flowing`` with the number of dropped lines once lines are
    written again.
    """

    def __init__(
        self,
        open_target: Callable[[], int],
        *,
        on_flowing: Callable[[int], None] = _nothing,
        on_error: Callable[[OSError], None] = _nothing,
        limit: int = PENDING_LIMIT,
    ) -> None:
        self.dropped = 0
        """Lines lost so far."""
        self._open_target = open_target
        self._on_flowing = on_flowing
        self._on_error = on_error
        self._limit = limit
        self._queue: deque[bytes] = deque()
        self._size = 0
        self._changed = threading.Condition(threading.Lock())
        self._is_writing = False
        self._is_closed = False
        self._is_failing = False
        self._reported = 0
        self._ends_line = True
        """Whether what was written last did; a full disk may have torn a line."""
        self._descriptor: int | None = None
        self._try_to_open()
        threading.Thread(target=self._run, name="line writer", daemon=True).start()

    def write(self, lines: bytes) -> None:
        """Have whole lines written soon, or drop them while too many wait."""
        with self._changed:
            if self._is_closed or self._size + len(lines) > self._limit:
                self.dropped += lines.count(b"\n")
                return
            self._queue.append(lines)
            self._size += len(lines)
            self._changed.notify_all()

    def reopen(self) -> None:
        """Open the target again; lines that wait already go to the present one."""
        with self._changed:
            if not self._queue or self._queue[-1] is not _REOPEN:
                self._queue.append(_REOPEN)
                self._changed.notify_all()

    def flush(self, seconds: float) -> None:
        """Return when every line is written, or after so many seconds."""
        with self._changed:
            self._changed.wait_for(
                lambda: not self._queue and not self._is_writing, seconds
            )

    def close(self, seconds: float) -> None:
        """Flush and end the thread; one that waits for a reader ends with the process.

        Later lines are dropped.
        """
        self.flush(seconds)
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _run(self) -> None:
        while (lines := self._next()) is not None:
            try:
                if lines is _REOPEN:
                    self._open_again()
                else:
                    self._write(lines)
            except OSError as error:
                self._fail(error)
        if self._descriptor is not None:
            os.close(self._descriptor)

    def _next(self) -> bytes | None:
        """Return what stands first in the queue; None once it is empty and closed."""
        with self._changed:
            self._is_writing = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._queue or self._is_closed)
            if not self._queue:
                return None
            self._is_writing = True
            lines = self._queue.popleft()
            if lines is not _REOPEN:
                self._size -= len(lines)
            return lines

    def _try_to_open(self) -> None:
        try:
            self._descriptor = self._open_target()
        except OSError as error:
            self._fail(error)

    def _open_again(self) -> None:
        """Open the target; the present one stays where that fails."""
        before, self._descriptor = self._descriptor, self._open_target()
        self._ends_line = True
        if before is not None:
            os.close(before)

    def _write(self, lines: bytes) -> None:
        written = 0
        try:
            if self._descriptor is None:
                self._descriptor = self._open_target()
            if not self._ends_line:
                self._write_all(self._descriptor, b"\n")
            for piece in _pieces(lines, self._descriptor):
                self._write_all(self._descriptor, piece)
                written += len(piece)
        finally:
            if written < len(lines):
                with self._changed:
                    self.dropped += lines.count(b"\n", written)
        self._is_failing = False
        lost, self._reported = self.dropped - self._reported, self.dropped
        if lost:
            self._on_flowing(lost)

    def _write_all(self, descriptor: int, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                count = os.write(descriptor, rest)
            except BlockingIOError:  # another process has made it non-blocking
                writable = select.poll()
                writable.register(descriptor, select.POLLOUT)
                writable.poll()
            else:
                self._ends_line = rest[count - 1] == _LINE_END
                rest = rest[count:]

    def _fail(self, error: OSError) -> None:
        if not self._is_failing:
            self._is_failing = True
            self._on_error(error)


def _pieces(lines: bytes, descriptor: int) -> Iterator[bytes]:
    """Yield what one write takes: everything for a file, a few lines for a pipe."""
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        yield lines
        return
    start = 0
    while start < len(lines):
        end = lines.rfind(b"\n", start, start + _ATOMIC) + 1
        end = end or lines.find(b"\n", start) + 1 or len(lines)
        yield lines[start:end]
        start = end
