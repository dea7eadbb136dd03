"""Listening sockets, bound before anything else starts, and the addresses of hosts."""

import errno
import os
import socket
from typing import Any, Final

from service_kit.settings import LAST_PORT

BACKLOG: Final = 1_024
"""Connections that wait to be accepted."""

_NO_NAME: Final = "a part of the name is empty, or longer than 63 characters"
_ANY: Final = "::"
_ANY_IPV4: Final = "0.0.0.0"  # noqa: S104 - what was asked for, as far as it is there
_NOT_HERE: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
"""An address of a family that this machine does not have; a name may have others."""


Addresses = list[tuple[Any, ...]]
"""As `socket.getaddrinfo` returns them."""


class ListenError(Exception):
    """A port cannot be listened on; the text says which and why, in one line."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"cannot listen on {place}: {reason}")
        self.reason = reason


def look_up(*asked: Any, **options: Any) -> Addresses:  # noqa: ANN401 - as `socket` has it
    """Return what `socket.getaddrinfo` returns.

    Raises `OSError`: the host has no address, or its name can be nobody's.
    """
    try:
        return list(socket.getaddrinfo(*asked, **options))
    except UnicodeError:
        raise socket.gaierror(socket.EAI_NONAME, _NO_NAME) from None


def bind(host: str, port: int, *, shared: bool = False) -> list[socket.socket]:
    """Return sockets bound to every address of a host, which do not listen yet.

    `::` takes IPv4 too, and IPv4 alone on a machine without IPv6. Port 0 stands for a
    free one. A shared port may be taken by other processes of the same user that share
    it, too (SO_REUSEPORT).

    Raises `ListenError`: the port is taken, or the host has no address here.
    """
    bound: list[socket.socket] = []
    try:
        _bind_all(host, port, bound, shared=shared)
    except OSError as error:
        for each in bound:
            each.close()
        raise _listen_error((host, port), error) from error
    return bound


def listen(bound: socket.socket) -> None:
    """Accept connections from now on; ListenError if the port has been taken."""
    try:
        bound.listen(BACKLOG)
    except OSError as error:
        raise _listen_error(bound.getsockname(), error) from error


def _listen_error(address: Any, error: OSError) -> ListenError:  # noqa: ANN401
    named = isinstance(error, socket.gaierror)
    reason = error.strerror if named else os.strerror(error.errno or errno.EINVAL)
    return ListenError(host_port(address), reason or "")


def host_port(address: Any) -> str:  # noqa: ANN401 - as `getsockname` returns it
    """Return the address of an internet socket as people write it."""
    host, port, *_ = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _bind_all(
    host: str, port: int, bound: list[socket.socket], *, shared: bool
) -> None:
    if port > LAST_PORT:
        raise OSError(errno.EINVAL, "")
    found = look_up(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    places = list(dict.fromkeys(found))
    missing = None
    for family, *_, address in places if port else places[:1]:
        try:
            bound.append(_bind(family, address, shared=shared))
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise
            missing = error
    if not bound and missing is not None:
        if host != _ANY:
            raise missing
        _bind_all(_ANY_IPV4, port, bound, shared=shared)


def _bind(
    family: int,
    address: Any,  # noqa: ANN401 - of the family
    *,
    shared: bool,
) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, address[0] != _ANY)
        one.bind(address)
    except OSError:
        one.close()
        raise
    return one
