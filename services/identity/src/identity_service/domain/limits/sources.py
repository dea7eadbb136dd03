"""The networks of clients, for shares and limits.

One notion for the throttle, known devices and the queue of password hashes.
"""

import ipaddress
from functools import lru_cache
from typing import Final

IPV4_PREFIXES: Final = (24, 32)
"""Bits. A block that is seldom split between providers, and one address."""

IPV6_PREFIXES: Final = (48, 56, 64)
"""Bits. The most and the usual that one subscriber has, and one of their networks,
which has at least so many addresses (RFC 6177, RIPE-690)."""

NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
"""IPv4 clients of a server that only speaks IPv6 (RFC 6052, RFC 7755)."""

UNKNOWN: Final = "unknown"
"""The source of requests without an address."""

_CACHED_ADDRESSES: Final = 4_096
"""Parsing an address is slow, and a sign-in asks for its networks several times."""


def site_of(address: str) -> str:
    """Return what stands for one source: an IPv4 address, or an IPv6 /64."""
    site = networks_of(address)[-1]
    return site.removesuffix("/32") if "." in site else site


@lru_cache(maxsize=_CACHED_ADDRESSES)
def networks_of(address: str) -> tuple[str, ...]:
    """Return the networks that an address is in, the widest first, the site last."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return (UNKNOWN,)
    if isinstance(parsed, ipaddress.IPv6Address):
        parsed = _embedded_ipv4(parsed) or parsed
    prefixes = IPV4_PREFIXES if parsed.version == 4 else IPV6_PREFIXES  # noqa: PLR2004
    return tuple(
        str(ipaddress.ip_network(f"{parsed}/{prefix}", strict=False))
        for prefix in prefixes
    )


def patterns_of_site(address: str) -> tuple[str, str]:
    """Return two SQL patterns, one of which each address of this one's site is like.

    Addresses are stored as `ipaddress` writes them: zero groups of an IPv6 /64 may be
    written out, or be part of a ``::``. So a /64 with two zero groups cannot be
    distinguished from some of its neighbours.
    """
    site = site_of(address)
    if "/" not in site:
        return address, address
    first = ipaddress.IPv6Network(site).network_address
    groups = [f"{int(group, 16):x}" for group in first.exploded.split(":")[:4]]
    written_out = ":".join(groups) + ":"
    match groups:
        case [*_, "0"]:
            shortened = str(first)
        case [_, "0", "0", _]:
            shortened = f"{groups[0]}::{groups[3]}:"
        case _:
            shortened = written_out
    return f"{written_out}%", f"{shortened}%"


def _embedded_ipv4(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
