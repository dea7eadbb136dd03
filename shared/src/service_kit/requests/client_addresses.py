"""The client behind trusted proxies, and the scheme and host it used."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import islice
from typing import Final, NamedTuple

from service_kit.requests.addresses import normalised, parse_address, parse_network

X_FORWARDED_FOR: Final = "x-forwarded-for"

_MOST_HOPS: Final = 32
"""Proxies in a row that are followed."""

_CACHED_PEERS: Final = 4_096
"""Parsing an address is slow."""

_PAIR: Final = (
    r"([!#$%&'*+.^_`|~0-9A-Za-z-]++)="
    r"""(?:"((?:[^"\\]|\\.)*+)"|([^\s",;]*+))"""
)
_PAIRS: Final = rf"(?:{_PAIR})?+(?:[ \t]*+;[ \t]*+(?:{_PAIR})?+)*+"
_FORWARDED: Final = re.compile(rf"[ \t]*+{_PAIRS}(?:[ \t]*+,[ \t]*+{_PAIRS})*+[ \t]*+")
"""`Forwarded` (RFC 7239 section 4). Addresses count without their quotes as well."""

_ELEMENT: Final = re.compile(r'(?:[^,"]++|"(?:[^"\\]|\\.)*+(?:"|\\?\Z))++')
"""What stands between two commas, of which a quoted string may hold more."""

_PARAMETER: Final = re.compile(rf"(?:^|;)[ \t]*+{_PAIR}")
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")

_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
"""What stands for each scheme; Traefik writes a WebSocket's own (RFC 6455, 3)."""

Fields = Mapping[bytes, Sequence[bytes]]
"""The values of a request's fields, by name in lower case."""


class Origin(NamedTuple):
    """The origin of a request, as trusted proxies describe it."""

    addresses: tuple[str, ...]
    """The client, then the proxies on the way, the nearest last."""
    scheme: str = ""
    """`http` or `https` between the client and the first proxy; empty: not said."""
    host: str = ""
    """What the client asked for; empty: not said."""


class TrustedProxies:
    """The proxies whose word about clients is trusted."""

    def __init__(
        self,
        networks: Iterable[str | IPv4Network | IPv6Network],
        header: str = X_FORWARDED_FOR,
    ) -> None:
        self._networks = tuple(parse_network(str(each)) for each in networks)
        self._peers: dict[str, bool] = {}
        """Whether they are such proxies, by address."""
        self._name = header.encode("ascii")
        self.header = header
        """The one header these proxies write, in lower case."""

    def trusts(self, peer: str) -> bool:
        """Whether the address at the other end of a connection is such a proxy."""
        if not self._networks:
            return False
        found = self._peers.get(peer)
        return self._judge(peer) if found is None else found

    def client_of(self, peer: str, untrusted_values: Sequence[str]) -> str:
        """Return the client's address, given `header`'s values from aiohttp."""
        values = [each.encode("utf-8", "surrogateescape") for each in untrusted_values]
        return self.origin_behind(peer, {self._name: values}).addresses[0]

    def origin_behind(self, peer: str, fields: Fields) -> Origin:
        """Return what the trusted proxies say of a request's beginning.

        Read from right to left, each entry was written by the hop after it; so the
        first entry that no trusted proxy owns is the client, and what stands to the
        left of it is not trusted. The other header is ignored, and
        nothing of a `Forwarded` that is malformed anywhere is believed.
        """
        addresses = [normalised(peer)]
        if not self.trusts(peer):
            return Origin(tuple(addresses))
        scheme = host = ""
        values = [value.decode("latin-1") for value in fields.get(self._name, ())]
        for written, its_scheme, its_host in islice(self._hops(values), _MOST_HOPS):
            scheme, host = its_scheme, its_host
            address = parse_address(written)
            if address is None:
                break
            addresses.append(str(address))
            if not self._contains(address):
                break
        if self.header == X_FORWARDED_FOR:
            scheme = _only(fields, b"x-forwarded-proto").lower()
            host = _only(fields, b"x-forwarded-host")
        return Origin(
            tuple(reversed(addresses)),
            _SCHEMES.get(scheme, ""),
            host if _HOST.fullmatch(host) else "",
        )

    def _judge(self, peer: str) -> bool:
        if len(self._peers) >= _CACHED_PEERS:
            self._peers.clear()
        self._peers[peer] = found = self._contains(parse_address(peer))
        return found

    def _contains(self, address: IPv4Address | IPv6Address | None) -> bool:
        return address is not None and any(
            address in network for network in self._networks
        )

    def _hops(self, values: Sequence[str]) -> Iterator[tuple[str, str, str]]:
        """Yield the address, scheme and host of each hop, the nearest first."""
        if self.header == X_FORWARDED_FOR:
            for value in reversed(values):
                yield from ((each, "", "") for each in reversed(value.split(",")))
        elif all(map(_FORWARDED.fullmatch, values)):
            # Else a client's quote without an end could hide what a proxy appended.
            for value in reversed(values):
                yield from map(_forwarded_hop, reversed(_ELEMENT.findall(value)))


def _forwarded_hop(element: str) -> tuple[str, str, str]:
    """Return what one element of `Forwarded` says of a hop (RFC 7239)."""
    parameters = {
        name.lower(): quoted or plain
        for name, quoted, plain in _PARAMETER.findall(element)
    }
    return (
        parameters.get("for", ""),
        parameters.get("proto", "").lower(),
        parameters.get("host", ""),
    )


def _only(fields: Fields, name: bytes) -> str:
    """Return the value of a field that stands once; else nothing."""
    values = fields.get(name, ())
    return values[0].decode("latin-1") if len(values) == 1 else ""
