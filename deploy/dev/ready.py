"""Wait until the services of `make up` are ready, then tell how to use them.

Runs beside them, and stays until it is stopped: the runner takes the end of one
process for the end of all. Exits 1 if they do not become ready.
"""

import http.client
import os
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Final

from deploy.dev.profile import ADMIN_CREDENTIALS, ROOT, admin_credentials, public_url

_PATIENCE_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.1

_WELCOME: Final = """
Ready on {url}

  Try
    curl {url}/api/test/all
    curl {url}/api/auth/signup {json} -d '{{"username":"ada","email":"ada@example.org","password":"first programmer 1843"}}'
    curl {url}/api/auth/signin {json} -d '{{"username":"ada","password":"first programmer 1843"}}'

  The first admin is {username}, password {password}
  (made once, kept in {credentials})

  Ctrl-C, or `make down` elsewhere, stops it; the data stays in .local/
"""  # noqa: E501 - lines to copy must not be broken


def main(environ: Mapping[str, str]) -> int:
    """Wait, tell, and stay."""
    services = ("IDENTITY", "CONTENT", "GATEWAY")
    ports = {name.lower(): int(environ[f"{name}_INTERNAL_PORT"]) for name in services}
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while waiting := [name for name, port in ports.items() if not _is_ready(port)]:
        if time.monotonic() > deadline:
            print(f"not ready after {_PATIENCE_SECONDS:.0f} s: {_list(waiting)}")
            return 1
        time.sleep(_PAUSE_SECONDS)
    admin = admin_credentials()
    print(
        _WELCOME.format(
            url=public_url(environ),
            json="-H 'Content-Type: application/json'",
            username=admin["username"],
            password=admin["password"],
            credentials=ADMIN_CREDENTIALS.relative_to(ROOT),
        ),
        flush=True,
    )
    signal.pause()
    return 0


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)


if __name__ == "__main__":
    sys.exit(main(os.environ))
