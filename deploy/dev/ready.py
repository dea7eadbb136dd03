"""Wait until the services of `make up` are ready, then tell how to use them.

Runs beside them, and stays until it is stopped: the runner takes the end of one
process for the end of all. Exits 1 if they do not become ready.
"""

import os
import signal
import sys
import textwrap
import time
from collections.abc import Mapping
from typing import Final

from deploy.dev.profile import (
    ADMIN_CREDENTIALS,
    ROOT,
    admin_credentials,
    gives_cookies,
    public_url,
)

from service_kit.healthcheck import answers_ok

_PATIENCE_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.1

_WELCOME: Final = """
Ready on {url}

  Try it (paste the lines into a shell)

{tour}

{front_ends}

  The first admin is {username}, password {password}
  (made once, kept in {credentials})

  Ctrl-C, or `make down` elsewhere, stops it; the data stays in .local/
"""

_FRONT_ENDS: Final = """
Front-ends may be served from any port of http://localhost and http://127.0.0.1.
""".strip()

_WITHOUT_COOKIES: Final = """
Those that keep their tokens in cookies need the tutorial's profile:
TUTORIAL_COMPAT=true make up
""".strip()

_WITH_COOKIES: Final = """
Those that keep their tokens in cookies: open them under http://localhost.
""".strip()

_TOUR: Final = r"""
curl -s -w '\n' {url}/api/test/all
curl -s -w '\n' {url}/api/auth/signup -H 'Content-Type: application/json' \
  -d '{{"username":"ada","email":"ada@example.org","password":"first programmer 1843"}}'
ACCESS_TOKEN=$(curl -s {url}/api/auth/signin -H 'Content-Type: application/json' \
  -d '{{"username":"ada","password":"first programmer 1843"}}' |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["accessToken"])')
curl -s -w '\n' {url}/api/test/user -H "x-access-token: $ACCESS_TOKEN"
""".strip()
"""README shows the same lines; a test compares the two and runs them."""


def main(environ: Mapping[str, str]) -> int:
    """Wait, tell, and stay."""
    addresses = _addresses(environ)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while waiting := [name for name, url in addresses.items() if not answers_ok(url)]:
        if time.monotonic() > deadline:
            names = ", ".join(waiting)
            print(f"not ready after {_PATIENCE_SECONDS:.0f} s: {names}", flush=True)
            return 1
        time.sleep(_PAUSE_SECONDS)
    admin = admin_credentials()
    url = public_url(environ)
    cookies = _WITH_COOKIES if gives_cookies(environ) else _WITHOUT_COOKIES
    print(
        _WELCOME.format(
            url=url,
            front_ends=textwrap.indent(f"{_FRONT_ENDS}\n{cookies}", "  "),
            tour=textwrap.indent(_TOUR.format(url=url), "    "),
            username=admin["username"],
            password=admin["password"],
            credentials=ADMIN_CREDENTIALS.relative_to(ROOT),
        ),
        flush=True,
    )
    signal.pause()
    return 0


def _addresses(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what must answer: each service, and two of them through the gateway."""
    services = ("identity", "content", "gateway")
    ports = {name: environ[f"{name.upper()}_INTERNAL_PORT"] for name in services}
    gateway = f"http://127.0.0.1:{environ['GATEWAY_PORT']}"
    return {
        **{name: f"http://127.0.0.1:{port}/readyz" for name, port in ports.items()},
        "the gateway's way to identity": f"{gateway}/.well-known/jwks.json",
        "the gateway's way to content": f"{gateway}/api/test/all",
    }


if __name__ == "__main__":
    sys.exit(main(os.environ))
