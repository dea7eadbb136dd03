"""IP addresses as others write them."""

from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

_HOST_BITS: Final = 64
"""One subscriber is given at least a /64, so that is one client."""

_WIDEST_PRIVATE: Final = {4: 8, 6: 7}
"""Bits of the prefix of 10.0.0.0/8 (RFC 1918) and of fc00::/7 (RFC 4193)."""

_MAPPED_BITS: Final = 96
"""Before an IPv4 address that is mapped into IPv6 (RFC 4291, 2.5.5.2)."""


_CACHED_PEERS: Final = 4_096
"""Parsing an address is slow."""


@lru_cache(maxsize=_CACHED_PEERS)
def normalised(peer: str) -> str:
    """Return the one spelling of a peer's IP address; other text as it is."""
    parsed = parse_address(peer)
    return peer if parsed is None else str(parsed)


def parse_address(untrusted_text: str) -> IPv4Address | IPv6Address | None:
    """Return the IP address, without quotes, port, brackets or zone.

    An IPv4 address that is mapped into IPv6 is returned as IPv4.
    """
    text = untrusted_text.strip(' \t"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def parse_network(text: str) -> IPv4Network | IPv6Network:
    """Return the network, as IPv4 if it is mapped into IPv6, as addresses are.

    Raises `ValueError`: the text is no network.
    """
    network = ip_network(text)
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is None or network.prefixlen < _MAPPED_BITS:
        return network
    return IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))


def holds_clients(network: IPv4Network | IPv6Network) -> bool:
    """Whether a network is wider than any private one, so clients must be in it."""
    return network.prefixlen < _WIDEST_PRIVATE[network.version]


def client_network(address: str) -> str:
    """Return what counts as one client: an IPv4 address, or an IPv6 network.

    ``address`` is in its one spelling.
    """
    if ":" not in address:
        return address
    return str(IPv6Address(int(IPv6Address(address)) >> _HOST_BITS << _HOST_BITS))
