"""Check the health of this container: ``python -m service_kit.healthcheck``.

Exits 0 if ``HEALTHCHECK_URL`` responds 200, else 1. Images have no curl. The engine
runs this every two seconds in each container, so it imports next to nothing:
`http.client` alone would take twice as long as all the rest.
"""

import os
import socket
import sys
from typing import Final

_TIMEOUT_SECONDS: Final = 3.0
"""Shorter than the engine's own limit, which would leave the process behind."""

_HTTP_PORT: Final = "80"
_LONGEST_STATUS_LINE: Final = 256
_OK: Final = ([b"HTTP/1.1", b"200"], [b"HTTP/1.0", b"200"])


def answers_ok(url: str) -> bool:
    """Whether a GET of ``url``, of scheme http, gets 200 in time."""
    authority, _, path = url.removeprefix("http://").partition("/")
    host, port = _address(authority)
    request = f"GET /{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection((host, port), _TIMEOUT_SECONDS) as connection:
            connection.sendall(request.encode())
            with connection.makefile("rb") as response:
                status_line = response.readline(_LONGEST_STATUS_LINE).split()
    except OSError:
        return False
    return status_line[:2] in _OK


def _address(authority: str) -> tuple[str, int]:
    host, colon, port = authority.rpartition(":")
    if not colon or port.endswith("]"):
        host, port = authority, _HTTP_PORT
    return host.strip("[]"), int(port)


if __name__ == "__main__":
    sys.exit(0 if answers_ok(os.environ["HEALTHCHECK_URL"]) else 1)
