"""File descriptors: their limit, and what happens when they run out."""

import asyncio
import errno
import logging
import resource
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

_ANY_PORT: Final = 9

OWN: Final = 64
"""Descriptors for ports, logs, files, names and probes."""

_LOG_INTERVAL: Final = 10.0
"""Seconds between two lines of the log."""

_logger: Final = logging.getLogger(__name__)


def raise_limit() -> None:
    """Let this process have as many descriptors as it may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # some systems have a lower limit of their own
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def soft_limit() -> int:
    """Return how many descriptors this process may have."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def room_for_clients(upstream_connections: int) -> int:
    """Return how many connections of clients there are descriptors for.

    Those to upstreams come first, with half of the descriptors at most.
    """
    left = max(4, soft_limit() - OWN)
    return left - min(upstream_connections, left // 2)


def is_exhaustion(error: OSError, host: str = "") -> bool:
    """Whether this process or its system has run out of something; no peer's fault.

    For an address to connect to that may be ports, unless this machine has no address
    to connect from, as for `::1` where IPv6 is off.
    """
    if error.errno == errno.EADDRNOTAVAIL:
        return _has_route_to(host)
    return error.errno in _EXHAUSTED


def _has_route_to(host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as one:
        one.connect((host, _ANY_PORT))  # sends nothing
        return True
    return False


class Descriptors:
    """Counts failures for lack of descriptors, and has room made."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._logged_at = float("-inf")
        self.exhausted = 0
        """How often a connection could not be had."""
        self.make_room: Callable[[], object] = lambda: None

    def ran_out(self, error: OSError, host: str = "") -> bool:
        """Return whether ``error`` is exhaustion on this side; if so, make room.

        ``host`` is the address that was to be connected to.
        """
        if not is_exhaustion(error, host):
            return False
        self.exhausted += 1
        if self._loop.time() >= self._logged_at + _LOG_INTERVAL:
            self._logged_at = self._loop.time()
            _logger.error(
                "descriptors_exhausted",
                extra={"error": error.strerror, "count": self.exhausted},
            )
        self.make_room()
        return True
