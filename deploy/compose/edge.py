"""Hold the network that both gateways live in, and its published port.

The gateways of docker-compose.yml share this container's network, so each can be
replaced while the other listens on the same port. `edge.py` itself does nothing, and so
never needs to be replaced.

When it is killed all the same, the engine starts it again with a new network, and the
gateways are left in the old one, which leads nowhere. So their health check is
`edge.py check`: it ends a gateway whose network holds no edge, and the engine starts
it again in the new one.
"""

import os
import signal
import socket
import sys
import time
from typing import Final

NAME: Final = "\0gatehouse-edge"
"""An abstract socket: it is seen in one network, and gone when its process is."""

RESTART_SECONDS: Final = 1.5
"""How long the engine may take to start edge again; a gateway must not be earlier."""

BETWEEN_SIGNALS: Final = 0.2


def hold() -> int:
    """Have the name until SIGTERM."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as holder:
        holder.bind(NAME)
        signal.sigwait({signal.SIGTERM})
    return 0


def is_held(name: str = NAME) -> bool:
    """Whether this network still holds edge."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        try:
            client.connect(name)
        except OSError:
            return False
    return True


def check(name: str = NAME) -> int:
    """Exit code of a gateway's health check; ends the gateway if edge is gone."""
    from service_kit.healthcheck import answers_ok  # noqa: PLC0415 - edge lacks it

    if is_held(name):
        port = os.environ["GATEWAY_INTERNAL_PORT"]
        return 0 if answers_ok(f"http://127.0.0.1:{port}/readyz") else 1
    time.sleep(RESTART_SECONDS)
    for _ in range(2):  # the second one ends it at once: nobody is served here
        os.kill(1, signal.SIGTERM)
        time.sleep(BETWEEN_SIGNALS)
    return 1


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["check"]:
            sys.exit(check())
        case ["is-held"]:
            sys.exit(0 if is_held() else 1)
        case _:
            sys.exit(hold())
