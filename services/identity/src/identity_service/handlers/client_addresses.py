"""Where a request comes from."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from aiohttp import hdrs, web

from identity_service.domain.sessions import Device
from identity_service.settings import IpNetwork
from service_kit.addresses import parse_address

_LONGEST_DEVICE_NAME: Final = 255
_UNKNOWN: Final = "unknown"


class ClientAddresses:
    """Finds clients' addresses behind gateways that are trusted to name them."""

    def __init__(self, trusted_proxies: Iterable[IpNetwork]) -> None:
        self._trusted = tuple(trusted_proxies)

    def of(self, request: web.BaseRequest) -> str:
        """Return the address of the nearest hop that is no trusted gateway.

        ``X-Forwarded-For`` is read from the right, each entry believed only while
        whoever added it is trusted: what a client wrote there itself is never reached.
        """
        address = parse_address(request.remote or "")
        hops = ",".join(request.headers.getall(hdrs.X_FORWARDED_FOR, ())).split(",")
        while address is not None and self._trusts(address) and hops:
            before = parse_address(hops.pop())
            if before is None:
                break
            address = before
        return _UNKNOWN if address is None else str(address)

    def is_from_gateway(self, request: web.BaseRequest) -> bool:
        """Return whether a trusted gateway is at the other end of the connection."""
        peer = parse_address(request.remote or "")
        return peer is not None and self._trusts(peer)

    def is_forwarded(self, request: web.BaseRequest) -> bool:
        """Return whether a trusted gateway sent the request on for a client."""
        return self.is_from_gateway(request) and (
            hdrs.X_FORWARDED_FOR in request.headers
        )

    def _trusts(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._trusted)


def device_of(request: web.BaseRequest, addresses: ClientAddresses) -> Device:
    """Return what the client calls itself, in printable ASCII, and its address."""
    name = request.headers.get(hdrs.USER_AGENT, "").strip()[:_LONGEST_DEVICE_NAME]
    printable = "".join(
        character if " " <= character <= "~" else "?" for character in name
    )

    def is_gone() -> bool:
        return request.transport is None or request.transport.is_closing()

    return Device(
        printable or _UNKNOWN,
        addresses.of(request),
        is_forwarded=addresses.is_forwarded(request),
        is_gone=is_gone,
    )
