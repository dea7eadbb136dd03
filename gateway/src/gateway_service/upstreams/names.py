"""Look up the addresses of a name."""

import asyncio
from socket import SOCK_STREAM

HostPort = tuple[str, int]


class ResolutionError(Exception):
    """A name has no address at present, or no response came."""


async def addresses_of_name(name: str, port: int) -> list[HostPort]:
    """Return every A and AAAA address of a name, in a stable order."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(name, port, type=SOCK_STREAM)
    return sorted({(str(place[0]), port) for *_, place in found})
