"""Look up the addresses of a name."""

import socket

from service_kit.running.own_thread import in_own_thread

HostPort = tuple[str, int]


class ResolutionError(Exception):
    """A name has no address at present, or can have none."""


async def addresses_of_name(name: str, port: int) -> list[HostPort]:
    """Return every A and AAAA address of a name, in a stable order.

    Raises `OSError`: it has none, or there was no response; `ResolutionError`: it
    cannot be a name.
    """
    try:
        found = await in_own_thread(
            lambda: socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
        )
    except UnicodeError:
        reason = "a part of the name is empty, or longer than 63 characters"
        raise ResolutionError(reason) from None
    return sorted({(str(place[0]), port) for *_, place in found})
