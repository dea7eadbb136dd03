"""Draw docs/console.png, the README's picture: python -m tests.browser.picture.

It shows the gateway's page after half a minute of requests.
"""

import tempfile
import threading
from pathlib import Path
from typing import Final

from tests.support.console import console_in, running_browser
from tests.support.stack import Stack

PICTURE: Final = Path(__file__).parents[2] / "docs" / "console.png"
SIZE: Final = (1100, 700)
_SECONDS: Final = 30
_PAUSES: Final = (0.05, 0.02, 0.01, 0.03)
"""Seconds between requests, one after the other, so that the line has a shape."""


def main() -> None:
    """Write the picture."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Stack(Path(folder), {"GATEWAY_RATE_LIMITS": "off"}) as stack,
        running_browser() as browser,
        console_in(browser, stack.base_url, SIZE) as console,
    ):
        done = threading.Event()

        def ask() -> None:
            while True:
                for pause in _PAUSES:
                    for _ in range(int(3 / pause)):
                        stack.send("GET", "/api/test/all")
                        if done.wait(pause):
                            return

        asking = threading.Thread(target=ask)
        asking.start()
        console.sign_in(stack.admin_name, stack.admin_password)
        console.follow("Gateway")
        console.page.wait_for_timeout(_SECONDS * 1000)
        console.page.screenshot(path=PICTURE)
        done.set()
        asking.join()


if __name__ == "__main__":
    main()
