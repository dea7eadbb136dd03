"""Web origins that an operator allows."""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

ORIGIN: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])"
    r"(?::(?P<port>[1-9][0-9]{0,4}|\*))?"
)
"""An origin as browsers write it (RFC 6454 section 6.2), or one with ``:*``."""

ANY_PORT: Final = ":*"

_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")

_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
_OWN_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})
"""Hosts whose every port belongs to the person at the machine."""


def is_loopback(url: str) -> bool:
    """Return whether a URL's host is this machine, by a name that means no other."""
    try:
        return urlsplit(url).hostname in _OWN_HOSTS
    except ValueError:
        return False


def origin_of(url: str) -> str:
    """Return the origin of an absolute URL, as browsers write it."""
    parts = urlsplit(url.lower())
    host = parts.netloc.removesuffix(f":{_DEFAULT_PORTS.get(parts.scheme)}")
    return f"{parts.scheme}://{host}"


def is_origin(text: str) -> bool:
    """Return whether this names one origin, or every port of this machine."""
    match = ORIGIN.fullmatch(text)
    if match is None or match["port"] == _DEFAULT_PORTS[match["scheme"]]:
        return False
    return match["port"] != "*" or match["host"].strip("[]") in _OWN_HOSTS


class AllowedOrigins:
    """A set of origins, some of which stand for every port of a host."""

    __slots__ = ("_exact", "_hosts")

    def __init__(self, origins: Iterable[str]) -> None:
        listed = frozenset(origins)
        self._hosts = frozenset(
            each.removesuffix(ANY_PORT) for each in listed if each.endswith(ANY_PORT)
        )
        self._exact = self._hosts | {
            each for each in listed if not each.endswith(ANY_PORT)
        }

    def __contains__(self, untrusted_origin: str) -> bool:
        """Return whether a page of this origin is allowed."""
        if untrusted_origin in self._exact:
            return True
        host, _, port = untrusted_origin.rpartition(":")
        return host in self._hosts and _PORT.fullmatch(port) is not None
