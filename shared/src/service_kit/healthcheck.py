"""Check the health of this container: ``python -m service_kit.healthcheck``.

Exits 0 if ``HEALTHCHECK_URL`` responds 200, else 1. Images have no curl. The engine
runs this every two seconds in each container, so it imports next to nothing:
`http.client` alone would take twice as long as all the rest.
"""

import os
import socket
import sys
import time
from typing import Final

_TIMEOUT_SECONDS: Final = 3.0
"""Shorter than the engine's own limit, which would leave the process behind."""

_SHORTEST_TIMEOUT: Final = 0.001
"""0 would not wait at all, and ask again and again."""

_HTTP_PORT: Final = "80"
_LONGEST_STATUS_LINE: Final = 256
_OK: Final = ([b"HTTP/1.1", b"200"], [b"HTTP/1.0", b"200"])


def answers_ok(url: str, *, within: float = _TIMEOUT_SECONDS) -> bool:
    """Whether a GET of ``url``, of scheme http, gets 200 within so many seconds."""
    authority, _, path = url.removeprefix("http://").partition("/")
    host, port = _address(authority)
    ends_at = time.monotonic() + within
    request = f"GET /{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection((host, port), within) as connection:
            connection.sendall(request.encode())
            return _status_line(connection, ends_at).split()[:2] in _OK
    except OSError:
        return False


def _status_line(connection: socket.socket, ends_at: float) -> bytes:
    """Return the first line of the response, or what there was of it in time."""
    received = b""
    while b"\n" not in received and len(received) < _LONGEST_STATUS_LINE:
        connection.settimeout(max(_SHORTEST_TIMEOUT, ends_at - time.monotonic()))
        if not (data := connection.recv(_LONGEST_STATUS_LINE)):
            break
        received += data
    return received.partition(b"\n")[0]


def _address(authority: str) -> tuple[str, int]:
    host, colon, port = authority.rpartition(":")
    if not colon or port.endswith("]"):
        host, port = authority, _HTTP_PORT
    return host.strip("[]"), int(port)


if __name__ == "__main__":
    sys.exit(0 if answers_ok(os.environ["HEALTHCHECK_URL"]) else 1)
