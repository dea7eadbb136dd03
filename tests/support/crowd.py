"""Many connections of clients that mean no good, held by one thread."""

import contextlib
import re
import select
import selectors
import socket
import struct
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, Self

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Crowd:
    """Connections to one port; a context manager that leaves none open."""

    def __init__(self, port: int, *, receive_buffer: int = 0) -> None:
        self._port = port
        self._receive_buffer = receive_buffer
        self._open: list[socket.socket] = []
        self.received: dict[socket.socket, bytes] = {}
        """What each was sent, those that are closed included."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._open:
            each.close()

    def __len__(self) -> int:
        return len(self._open)

    def join(self, count: int) -> None:
        """Connect so many more."""
        for _ in range(count):
            each = socket.socket()
            if self._receive_buffer:
                each.setsockopt(
                    socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer
                )
            each.settimeout(5)
            each.connect(("127.0.0.1", self._port))
            each.setblocking(False)  # noqa: FBT003 - the socket's signature
            self._open.append(each)
            self.received[each] = b""

    def say(self, data: bytes) -> None:
        """Send the same on each; what a connection does not take is not sent."""
        for each in self._open:
            with contextlib.suppress(OSError):
                each.send(data)

    def listen(self, seconds: float) -> None:
        """Read what comes for some time; connections that the gateway ends leave."""
        until = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            for each in self._open:
                selector.register(each, selectors.EVENT_READ, each)
            while self._open and (left := until - time.monotonic()) > 0:
                for key, _ in selector.select(left):
                    if not self._read(key.data):
                        selector.unregister(key.data)
                        self._open.remove(key.data)
                        key.data.close()

    def _read(self, each: socket.socket) -> bool:
        try:
            data = each.recv(65_536)
        except OSError:
            return False
        self.received[each] += data
        return bool(data)

    def until_some_came(self) -> None:
        """Wait until each was sent something, without reading it."""
        for each in self._open:
            select.select([each], [], [], 5)

    def reset(self) -> None:
        """End every connection with RST."""
        for each in self._open:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            each.close()
        self._open = []

    @property
    def statuses(self) -> list[int]:
        """The statuses of all answers so far."""
        return [
            status
            for received in self.received.values()
            for status in all_statuses(received)
        ]


def all_statuses(received: bytes) -> list[int]:
    """Return the statuses of the answers that a connection brought."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]


def exchange(port: int, data: bytes, seconds: float = 5) -> bytes:
    """Send bytes, and then no more; return what came until the connection ended."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as client:
        with contextlib.suppress(OSError):
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            while piece := client.recv(65_536):
                received += piece
    return received


@contextlib.contextmanager
def large_answers(size: int) -> Iterator[int]:
    """Yield a port where what ends in ``large`` is answered with so many bytes."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            count = size // 65_536 if self.path.endswith("large") else 0
            self.send_header("Content-Length", str(count * 65_536))
            self.end_headers()
            with contextlib.suppress(OSError):
                for _ in range(count):
                    self.wfile.write(bytes(65_536))

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
