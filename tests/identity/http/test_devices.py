import ipaddress

import pytest
from aiohttp.test_utils import make_mocked_request

from identity_service.handlers.requests.devices import device_of
from service_kit.requests.client_addresses import TrustedProxies

TRUSTED = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        pytest.param("192.0.2.1", [], "192.0.2.1", id="no gateway"),
        pytest.param("192.0.2.1", ["203.0.113.9"], "192.0.2.1", id="untrusted peer"),
        pytest.param("10.0.0.1", [], "10.0.0.1", id="gateway itself"),
        pytest.param("10.0.0.1", ["203.0.113.9"], "203.0.113.9", id="gateway"),
        pytest.param(
            "10.0.0.1", ["1.1.1.1, 203.0.113.9"], "203.0.113.9", id="client's own entry"
        ),
        pytest.param(
            "10.0.0.1", ["1.1.1.1", "203.0.113.9"], "203.0.113.9", id="two fields"
        ),
        pytest.param(
            "10.0.0.1", ["203.0.113.9, 10.0.0.2"], "203.0.113.9", id="two gateways"
        ),
        pytest.param("10.0.0.1", ["nonsense"], "10.0.0.1", id="nonsense"),
        pytest.param(
            "10.0.0.1", ["203.0.113.9, nonsense"], "10.0.0.1", id="nonsense behind"
        ),
        pytest.param("10.0.0.1", ["10.9.9.9"], "10.9.9.9", id="all trusted"),
        pytest.param("fd00::1", ["2001:db8::7"], "2001:db8::7", id="IPv6"),
        pytest.param("::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9", id="mapped"),
        pytest.param("fe80::1%eth0", [], "fe80::1", id="zone"),
        pytest.param("10.0.0.1", ["203.0.113.9, €"], "10.0.0.1", id="beyond latin-1"),
        pytest.param("10.0.0.1", ["[2001:db8::7]:80"], "2001:db8::7", id="port"),
        pytest.param("", ["203.0.113.9"], "unknown", id="no peer"),
    ],
)
def test_the_address_is_that_of_the_nearest_hop_that_is_no_gateway(
    peer: str, forwarded: list[str], address: str
) -> None:
    request = make_mocked_request(
        "GET", "/", headers=[("X-Forwarded-For", each) for each in forwarded]
    ).clone(remote=peer)

    assert device_of(request, TrustedProxies(TRUSTED)).address == address


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (None, "unknown"),
        ("  ", "unknown"),
        ("Firefox/140", "Firefox/140"),
        ("a\x1b[31mbé", "a?[31mb?"),
        ("A" * 1000, "A" * 255),
    ],
)
def test_a_device_is_named_in_short_printable_ascii(
    user_agent: str | None, name: str
) -> None:
    headers = {} if user_agent is None else {"User-Agent": user_agent}
    request = make_mocked_request("GET", "/", headers=headers)

    assert device_of(request, TrustedProxies([])).name == name
