import pytest

from service_kit.requests.addresses import normalised
from service_kit.requests.client_addresses import TrustedProxies

PROXIES = ["10.0.0.0/8", "192.0.2.7/32", "fd00::/8"]


@pytest.mark.parametrize(
    ("peer", "values", "client"),
    [
        pytest.param("203.0.113.9", [], "203.0.113.9", id="direct"),
        pytest.param("203.0.113.9", ["1.1.1.1"], "203.0.113.9", id="untrusted peer"),
        pytest.param("10.0.0.1", [], "10.0.0.1", id="proxy's own request"),
        pytest.param("10.0.0.1", ["203.0.113.9"], "203.0.113.9", id="one hop"),
        pytest.param("10.0.0.1", ["1.1.1.1, 203.0.113.9"], "203.0.113.9", id="forged"),
        pytest.param(
            "10.0.0.1", ["1.1.1.1", "203.0.113.9"], "203.0.113.9", id="forged in a line"
        ),
        pytest.param(
            "10.0.0.1", ["203.0.113.9, 192.0.2.7, 10.9.9.9"], "203.0.113.9", id="chain"
        ),
        pytest.param("10.0.0.1", ["10.0.0.5, 10.0.0.6"], "10.0.0.5", id="all trusted"),
        pytest.param("10.0.0.1", ["203.0.113.9, junk"], "10.0.0.1", id="junk last"),
        pytest.param(
            "10.0.0.1", ["1.1.1.1, junk, 10.0.0.2"], "10.0.0.2", id="junk between"
        ),
        pytest.param("10.0.0.1", [""], "10.0.0.1", id="empty"),
        pytest.param("10.0.0.1", ["203.0.113.9:443"], "203.0.113.9", id="IPv4 port"),
        pytest.param("10.0.0.1", ["[2001:DB8::1]:443"], "2001:db8::1", id="IPv6 port"),
        pytest.param("10.0.0.1", ["2001:DB8:0:0::1"], "2001:db8::1", id="spelling"),
        pytest.param("10.0.0.1", ["::ffff:203.0.113.9"], "203.0.113.9", id="mapped"),
        pytest.param("::ffff:10.0.0.1", ["2.2.2.2"], "2.2.2.2", id="mapped peer"),
        pytest.param("fd00::1%eth0", ["2001:db8::1"], "2001:db8::1", id="zone"),
        pytest.param("10.0.0.1", ["1.1.1.1," * 100], "10.0.0.1", id="trailing comma"),
    ],
)
def test_client_is_the_last_hop_no_trusted_proxy_owns(
    peer: str, values: list[str], client: str
) -> None:
    assert TrustedProxies(PROXIES).client_of(peer, values) == client


@pytest.mark.parametrize("network", ["::ffff:10.0.0.0/104", "::ffff:0:0/96"])
def test_a_network_mapped_into_ipv6_is_one_of_ipv4(network: str) -> None:
    proxies = TrustedProxies([network])
    assert proxies.trusts("10.0.0.1")
    assert proxies.trusts("::ffff:10.0.0.1")
    assert not proxies.trusts("2001:db8::1")
    assert not TrustedProxies(["::/0"]).trusts("10.0.0.1")


def test_nobody_is_believed_by_default() -> None:
    assert TrustedProxies([]).client_of("10.0.0.1", ["1.1.1.1"]) == "10.0.0.1"
    assert not TrustedProxies([]).trusts("10.0.0.1")


def test_no_more_than_32_proxies_are_looked_through() -> None:
    hops = ", ".join(["203.0.113.9", *["10.0.0.2"] * 40])

    assert TrustedProxies(PROXIES).client_of("10.0.0.1", [hops]) == "10.0.0.2"


@pytest.mark.parametrize(
    ("values", "client"),
    [
        (["for=203.0.113.9"], "203.0.113.9"),
        (['For="[2001:DB8::1]:4711";proto=https'], "2001:db8::1"),
        (["for=1.1.1.1, for=203.0.113.9;by=10.0.0.3"], "203.0.113.9"),
        (["for=203.0.113.9, for=10.0.0.2"], "203.0.113.9"),
        (["for=unknown"], "10.0.0.1"),
        (["for=_hidden, for=10.0.0.2"], "10.0.0.2"),
        (["proto=https"], "10.0.0.1"),
        (['for="203.0.113.9:80";by="a,b"'], "203.0.113.9"),
        (['for="203.0.113.9'], "10.0.0.1"),
        (["for=203.0.113.9:80 ; proto=https,"], "203.0.113.9"),
        (['for=6.6.6.6;x=", for="[2001:db8::1]:80"'], "10.0.0.1"),
        (['for=6.6.6.6;x="', "for=203.0.113.9"], "10.0.0.1"),
        (['for=6.6.6.6;x="\\', 'for=203.0.113.9;by=""'], "10.0.0.1"),
        (["for=6.6.6.6;@, for=203.0.113.9"], "10.0.0.1"),
        (["a" * 7_900, "for=203.0.113.9"], "10.0.0.1"),
        (["for=203.0.113.9;" + "a" * 7_900 + "=1"], "203.0.113.9"),
    ],
)
def test_forwarded_is_read_where_it_is_the_trusted_header(
    values: list[str], client: str
) -> None:
    proxies = TrustedProxies(PROXIES, "forwarded")

    assert proxies.client_of("10.0.0.1", values) == client


@pytest.mark.parametrize(
    ("peer", "expected"),
    [("10.255.0.1", True), ("11.0.0.1", False), ("fd00::9", True), ("unix", False)],
)
def test_peer_is_trusted_by_its_network(
    peer: str,
    expected: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert TrustedProxies(PROXIES).trusts(peer) is expected


def test_an_address_has_one_spelling() -> None:
    assert normalised("2001:0DB8::0001") == "2001:db8::1"
    assert normalised("::ffff:1.2.3.4") == "1.2.3.4"
    assert normalised("unix") == "unix"


def test_what_is_said_of_thousands_of_peers_stays_true() -> None:
    proxies = TrustedProxies(["10.1.0.0/16"])
    peers = [f"10.{n % 2}.{n // 256}.{n % 256}" for n in range(10_000)]

    trusted = [[proxies.trusts(each) for each in peers] for _ in range(2)]

    assert trusted == [[each.startswith("10.1.") for each in peers]] * 2
