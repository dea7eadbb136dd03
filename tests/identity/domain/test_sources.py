"""Which addresses count as one source, and which networks they are in."""

import pytest

from identity_service.domain.limits.sources import networks_of, site_of


@pytest.mark.parametrize(
    ("source", "site"),
    [
        pytest.param("198.51.100.7", "198.51.100.7", id="IPv4"),
        pytest.param("::ffff:198.51.100.7", "198.51.100.7", id="IPv4 mapped"),
        pytest.param("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", id="IPv6"),
        pytest.param("2001:DB8:1:2::", "2001:db8:1:2::/64", id="IPv6, other host"),
        pytest.param("2001:db8:1:3::1", "2001:db8:1:3::/64", id="IPv6, other site"),
        pytest.param("fe80::1%eth0", "fe80::/64", id="link-local"),
        pytest.param("::1", "::/64", id="loopback"),
        pytest.param("", "unknown", id="empty"),
        pytest.param("unix:", "unknown", id="no address"),
        pytest.param("198.51.100.7:443", "unknown", id="with a port"),
        pytest.param("x" * 100_000, "unknown", id="long"),
    ],
)
def test_p8_source_is_an_address_or_an_ipv6_site(source: str, site: str) -> None:
    assert site_of(source) == site


@pytest.mark.parametrize(
    ("address", "networks"),
    [
        pytest.param("198.51.100.7", ("198.51.100.0/24", "198.51.100.7/32"), id="IPv4"),
        pytest.param(
            "2001:db8:1:2ff::7",
            ("2001:db8:1::/48", "2001:db8:1:200::/56", "2001:db8:1:2ff::/64"),
            id="IPv6",
        ),
        pytest.param(
            "64:ff9b::198.51.100.7",
            ("198.51.100.0/24", "198.51.100.7/32"),
            id="IPv4 through NAT64",
        ),
        pytest.param(
            "2002:c633:6407:1::7",
            ("198.51.100.0/24", "198.51.100.7/32"),
            id="6to4: an IPv4 address has 65,536 networks",
        ),
        pytest.param("unix:", ("unknown",), id="none"),
    ],
)
def test_p9_networks_of_an_address(address: str, networks: tuple[str, ...]) -> None:
    assert networks_of(address) == networks
