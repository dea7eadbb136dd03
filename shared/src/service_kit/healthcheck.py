"""Check the health of this container: ``python -m service_kit.healthcheck``.

Exits 0 if ``HEALTHCHECK_URL`` responds 200, else 1. Images have no curl,
and this imports nothing but the standard library, so that asking costs little.
"""

import http.client
import os
import sys
from typing import Final
from urllib.parse import urlsplit

_TIMEOUT_SECONDS: Final = 3.0
"""Shorter than the engine's own limit, which would leave the process behind."""


def answers_ok(url: str) -> bool:
    """Whether a GET of ``url`` gets 200 in time."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if answers_ok(os.environ["HEALTHCHECK_URL"]) else 1)
