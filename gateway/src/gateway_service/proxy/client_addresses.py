"""Which address a request really comes from."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_network
from itertools import islice
from typing import Final

from service_kit.addresses import normalised, parse_address

X_FORWARDED_FOR: Final = "x-forwarded-for"
FORWARDED: Final = "forwarded"

_MOST_HOPS: Final = 32
"""Proxies in a row that are looked through."""

_REMEMBERED: Final = 4_096
"""Peers whose judgement is kept, because parsing an address is slow."""


class TrustedProxies:
    """Looks through the proxies that the operator vouches for, and no others."""

    def __init__(self, networks: Iterable[str], header: str = X_FORWARDED_FOR) -> None:
        self._networks = tuple(ip_network(network) for network in networks)
        self._is_proxy = lru_cache(maxsize=_REMEMBERED)(self._judge)
        self.header = header
        """The one header these proxies write, in lower case."""

    def trusts(self, peer: str) -> bool:
        """Whether the address at the other end of a connection is such a proxy."""
        return bool(self._networks) and self._is_proxy(peer)

    def client_behind(self, peer: str, fields: Mapping[bytes, Sequence[bytes]]) -> str:
        """Return the address of the client that a request with these fields is from."""
        if not self.trusts(peer):
            return peer
        untrusted = fields.get(self.header.encode("ascii"), ())
        return self.client_of(peer, [value.decode("latin-1") for value in untrusted])

    def client_of(self, peer: str, untrusted_values: Sequence[str]) -> str:
        """Return the client's address, given `header`'s values in order.

        Read from right to left, each entry was written by the hop after it; so the
        first entry that no trusted proxy owns is the client, and what stands to the
        left of it is hearsay.
        """
        client = normalised(peer)
        if not self.trusts(peer):
            return client
        for entry in islice(self._hops(untrusted_values), _MOST_HOPS):
            address = parse_address(entry)
            if address is None:
                break
            client = str(address)
            if not self._contains(address):
                break
        return client

    def _judge(self, peer: str) -> bool:
        return self._contains(parse_address(peer))

    def _contains(self, address: IPv4Address | IPv6Address | None) -> bool:
        return address is not None and any(
            address in network for network in self._networks
        )

    def _hops(self, values: Sequence[str]) -> Iterator[str]:
        for value in reversed(values):
            for element in reversed(value.split(",")):
                yield element if self.header == X_FORWARDED_FOR else _node(element)


def _node(element: str) -> str:
    """Return what `for=` names in one element of `Forwarded` (RFC 7239)."""
    for parameter in element.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "for":
            return value.strip().strip('"')
    return ""
