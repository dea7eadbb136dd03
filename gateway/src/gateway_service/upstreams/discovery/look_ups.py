"""Look up the addresses of a name, and the targets of a service."""

import socket
from functools import partial
from typing import TYPE_CHECKING

from service_kit.running.own_thread import in_own_thread
from service_kit.running.sockets import look_up

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver

HostPort = tuple[str, int]


class ResolutionError(Exception):
    """A service has no target at present."""


async def addresses_of_name(name: str, port: int) -> list[HostPort]:
    """Return every A and AAAA address of a name, in a stable order.

    Raises `OSError`: it has none, it cannot be a name, or there was no response.
    """
    found = await in_own_thread(partial(look_up, name, port, type=socket.SOCK_STREAM))
    return sorted({(str(place[0]), port) for *_, place in found})


async def targets_of_service(
    name: str, _: int, resolver: "Resolver | None" = None
) -> list[HostPort]:
    """Return the names and ports of the targets with the best priority (RFC 2782).

    Their weights are not used: in-flight counts say more about who can take a request.
    The resolver is imported only where a service is configured: it costs 5 MiB.

    Raises `ResolutionError`: there is no such record, or no response.
    """
    from dns.asyncresolver import Resolver  # noqa: PLC0415
    from dns.exception import DNSException  # noqa: PLC0415

    try:
        records = list(await (resolver or Resolver()).resolve(name, "SRV"))
    except DNSException as error:
        raise ResolutionError(type(error).__name__) from error
    best = min((record.priority for record in records), default=0)
    return [
        (record.target.to_text(omit_final_dot=True), record.port)
        for record in records
        if record.priority == best
    ]
