import math
import os
from pathlib import Path

import pytest

from gateway_service.config.clients import RateLimit
from gateway_service.config.faults import ConfigError
from gateway_service.config.file import parse_config, read_config
from gateway_service.config.model import Config
from gateway_service.config.values import Address, Balance, CorsAccess

PRODUCT_FILE = Path(__file__).parents[2] / "deploy" / "gateway.toml"

LEAST = """\
[upstreams.content]
addresses = ["http://content:8002"]

[[routes]]
prefix = "/api/test"
upstream = "content"
"""


def faults(text: str, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        parse_config(text, "g.toml", environ or {})
    return refused.value.faults


def with_route(lines: str) -> str:
    return LEAST + lines


def with_upstream(lines: str) -> str:
    return LEAST.replace("\n\n[[routes]]", f"\n{lines}\n[[routes]]")


def test_least_file_has_the_contracts_limits() -> None:
    config = parse_config(LEAST, "g.toml", {})

    assert config.limits.request_line == 8_192
    assert config.limits.header_field == 8_192
    assert config.limits.headers == 32_768
    assert config.routes[0].body_limit == 1_048_576
    assert config.routes[0].rate_limit is None
    assert config.upstreams[0].resolve_interval == 5.0
    assert config.upstreams[0].balance is Balance.LEAST_IN_FLIGHT
    assert config.upstreams[0].health.interval == 1.0
    assert config.cors.origins == frozenset()
    assert not config.cors.credentials
    assert config.trusted_proxies == ()
    assert config.tls is None


def test_products_file_routes_as_the_contract_says() -> None:
    config = read_config(PRODUCT_FILE, {})

    assert {route.prefix: route.upstream for route in config.routes} == {
        "/api/auth": "identity",
        "/api/auth/refreshtoken": "identity",
        "/api/auth/signout": "identity",
        "/api/auth/statuslists": "identity",
        "/api/users": "identity",
        "/api/roles": "identity",
        "/api/audit": "identity",
        "/api/signing-keys": "identity",
        "/api/gateway": "identity",
        "/oauth2": "identity",
        "/.well-known": "identity",
        "/api/test": "content",
    }
    by_prefix = {route.prefix: route for route in config.routes}
    assert by_prefix["/api/auth"].body_limit == 102_400
    public = {r.prefix for r in config.routes if r.cors is CorsAccess.PUBLIC}
    assert public == {"/.well-known", "/api/auth/statuslists"}
    assert config.cors.origins == frozenset()
    assert config.limits == Config().limits


def test_routes_inherit_limits_and_timeouts_of_the_file() -> None:
    config = parse_config(
        """
        limits.body = 100
        timeouts.response_head = 3
        timeouts.total = 0
        """
        + with_route("timeouts = { idle = 1 }\n[[routes]]\n")
        + 'prefix = "/b"\nupstream = "content"\nbody_limit = 7\n',
        "g.toml",
        {},
    )

    first, second = config.routes
    assert (first.body_limit, second.body_limit) == (100, 7)
    assert (first.timeouts.idle, second.timeouts.idle) == (1.0, 30.0)
    assert first.timeouts.response_head == second.timeouts.response_head == 3.0
    assert first.timeouts.total == math.inf


def test_environment_overrides_the_file() -> None:
    config = parse_config(
        LEAST + '[cors]\norigins = ["https://file.test"]\n',
        "g.toml",
        {
            "GATEWAY_ALLOWED_ORIGINS": "https://a.test, http://localhost:8081",
            "GATEWAY_TRUSTED_PROXIES": "10.0.0.0/8,fd00::/8",
            "GATEWAY_UPSTREAM_CONTENT": "http://127.0.0.1:1?probe=2, http://[::1]:3",
            "GATEWAY_RATE_LIMIT_STORE": "valkey://valkey:6379",
            "GATEWAY_ALLOW_CREDENTIALS": "true",
            "GATEWAY_PORT": "8080",
        },
    )

    assert config.cors.credentials
    assert config.cors.origins == {"https://a.test", "http://localhost:8081"}
    assert config.trusted_proxies == ("10.0.0.0/8", "fd00::/8")
    assert config.rate_limit_store == "valkey://valkey:6379"
    assert config.upstreams[0].addresses == (
        Address("127.0.0.1", 1, probe_port=2),
        Address("::1", 3),
    )


def test_a_url_with_a_password_may_be_in_a_file(tmp_path: Path) -> None:
    variable, url = "GATEWAY_RATE_LIMIT_STORE", "valkey://:hunter2@valkey:6379"
    file = tmp_path / "store"
    file.write_text(f"{url}\n")
    file.chmod(0o400)

    found = parse_config(LEAST, "g.toml", {f"{variable}_FILE": str(file)})
    twice = faults(LEAST, {variable: url, f"{variable}_FILE": str(file)})
    absent = faults(LEAST, {f"{variable}_FILE": str(tmp_path / "absent")})
    file.chmod(0o444)
    readable = faults(LEAST, {f"{variable}_FILE": str(file)})

    assert found.rate_limit_store == url
    assert [each.partition(": is ")[2] for each in twice + readable] == [
        "set twice, with and without _FILE",
        "read from a file that everybody may read: chmod o=",
    ]
    assert len(absent) == 1
    assert "No such file" in absent[0]


def test_empty_variable_overrides_nothing() -> None:
    text = LEAST + '[cors]\norigins = ["https://file.test"]\n'

    config = parse_config(text, "g.toml", {"GATEWAY_ALLOWED_ORIGINS": ""})

    assert config.cors.origins == {"https://file.test"}


def test_upstreams_variable_has_the_upstreams_name() -> None:
    text = LEAST.replace("content", "my-content")

    config = parse_config(text, "g.toml", {"GATEWAY_UPSTREAM_MY_CONTENT": "http://a:1"})

    assert config.upstreams[0].addresses == (Address("a", 1),)


def test_variable_of_two_upstreams_is_a_fault() -> None:
    text = (
        LEAST
        + """
[upstreams.a-b]
addresses = ["http://one:1"]
[upstreams.a_b]
addresses = ["http://two:2"]
"""
    )
    assert len(parse_config(text, "g.toml", {}).upstreams) == 3
    assert faults(text, {"GATEWAY_UPSTREAM_A_B": "http://other:3"}) == [
        "GATEWAY_UPSTREAM_A_B: names two upstreams of the file"
    ]


def test_connections_to_upstreams_are_those_of_every_address() -> None:
    text = LEAST.replace('"http://content:8002"', '"http://a:1", "http://b:1"')
    upstream = parse_config(text, "g.toml", {}).upstreams[0]
    assert upstream.max_in_flight == 512
    assert upstream.idle_connections == 64
    assert parse_config(text, "g.toml", {}).upstream_connections == 512 + 2 * 64


def test_service_name_is_an_address() -> None:
    text = LEAST.replace("http://content:8002", "srv://_http._tcp.content?probe=9002")

    config = parse_config(text, "g.toml", {})

    assert config.upstreams[0].addresses == (
        Address("_http._tcp.content", 0, probe_port=9002, service=True),
    )


def test_rate_limit_of_a_route() -> None:
    text = with_route("rate_limit = { requests = 10, seconds = 60 }\n")

    assert parse_config(text, "g.toml", {}).routes[0].rate_limit == RateLimit(10, 60)


def test_every_fault_is_named_with_its_line() -> None:
    text = """\
pseudonym = "two words"
trusted_proxies = [
    "10.0.0.1/8",  # host bits
]
[limits]
body = -1
bodi = 2
[upstreams.content]
addresses = ["content:8002"]
health.interval = "often"
[upstreams.content.ejection]
share = 2
[[routes]]
prefix = "/a"
upstream = "nowhere"
[[routes]]
prefix = "/b"
timeouts = { total = 0, idle = true }
[unheard_of]
"""
    assert sorted(faults(text)) == sorted(
        [
            "g.toml:1: pseudonym must be one word without spaces, as Via wants it",
            (
                "g.toml:2: trusted_proxies must be networks like 10.0.0.0/8; "
                "'10.0.0.1/8' is not"
            ),
            "g.toml:6: limits.body must be a whole number from 0 to 1099511627776",
            "g.toml:7: limits.bodi is unknown; is body meant?",
            (
                "g.toml:9: upstreams.content.addresses must be like http://name:8002 or"
                " srv://_http._tcp.name; 'content:8002' is not"
            ),
            (
                "g.toml:10: upstreams.content.health.interval must be a number from"
                " 0.05 to 3600"
            ),
            "g.toml:12: upstreams.content.ejection.share must be a number from 0 to 1",
            "g.toml:16: routes[1].upstream is missing",
            "g.toml:18: routes[1].timeouts.idle must be a number from 0.01 to 86400",
            "g.toml:19: unheard_of is unknown",
        ]
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("", "g.toml: routes names no route", id="empty"),
        pytest.param("\na = [\n", "g.toml:2: Invalid value", id="cut off"),
        pytest.param(
            "# a\u2028b\u0085c\na = [\n",
            "g.toml:2: Invalid value",
            id="cut off after a line that is one to TOML",
        ),
        pytest.param(f"a = {'[' * 5_000}", "g.toml: has values nested", id="deep"),
        pytest.param(f"a = {'9' * 5_000}", "g.toml: Exceeds the limit", id="long"),
        pytest.param("\n\na == 1", "g.toml:3: Invalid value", id="no TOML"),
        pytest.param("routes = 1", "g.toml:1: routes must be tables", id="routes"),
        pytest.param("upstreams = []", "g.toml:1: upstreams must be", id="upstreams"),
        pytest.param("limits = 1", "g.toml:1: limits must be a table", id="limits"),
        pytest.param(
            "\n[upstream.content]",
            "g.toml:2: upstream is unknown; is upstreams meant?",
            id="a table within one that is unknown",
        ),
        pytest.param(
            "[upstreams.content.ejection]\n[upstreams.content]",
            "g.toml:2: upstreams.content.addresses is missing",
            id="a table headed after one within it",
        ),
        pytest.param(
            "\n[[upstreams]]",
            "g.toml:2: upstreams must be tables, each headed [upstreams.name]",
            id="an array of tables",
        ),
        pytest.param(
            "timeouts = 1", "g.toml:1: timeouts must be a table", id="timeouts"
        ),
        pytest.param("cors = 1", "g.toml:1: cors must be a table", id="cors"),
        pytest.param(
            'x = """\nlimits = 1\n"""\nlimits.body = ""',
            "g.toml:4: limits.body",
            id="what stands in a string is no key",
        ),
        pytest.param(
            "[upstreams.'A B']\naddresses = ['http://a:1']",
            'g.toml:1: upstreams."A B" must be a short name',
            id="upstream's name",
        ),
        pytest.param(
            with_route('[[routes]]\nprefix = "/api/test/"\nupstream = "content"\n'),
            "g.toml:8: routes[1].prefix /api/test/ stands twice",
            id="prefix twice",
        ),
        pytest.param(
            with_route('[[routes]]\nprefix = "/b"\nupstream = "b"\n'),
            "g.toml:9: routes[1].upstream is 'b', which is no upstream of the file",
            id="unknown upstream",
        ),
        pytest.param(
            with_upstream("ejection = { first = 5, longest = 1 }"),
            "g.toml:3: upstreams.content.ejection.longest must not be less than first",
            id="ejection that shrinks",
        ),
        pytest.param(
            "limits.headers = 1024\n" + LEAST,
            "g.toml:1: limits.headers must not be less than header_field",
            id="header limits",
        ),
        pytest.param(
            with_route("rate_limit = { requests = 1 }\n"),
            "g.toml:7: routes[0].rate_limit.seconds is missing",
            id="half a rate limit",
        ),
        pytest.param(
            "tls.certificate = 'c.pem'\n" + LEAST,
            "g.toml:1: tls.key is missing",
            id="certificate without key",
        ),
        pytest.param(
            "limits.body = true\n" + LEAST, "g.toml:1: limits.body must", id="a boolean"
        ),
        pytest.param(
            "# a\u2028b\u0085c\nlimits.body = true\n" + LEAST,
            "g.toml:2: limits.body must",
            id="after a line that is one to TOML",
        ),
        pytest.param(
            '"a\\nb" = 1\n' + LEAST, 'g.toml:1: "a\\nb" is unknown', id="key of 2 lines"
        ),
        pytest.param(
            '# it\'s """ here\nlimits.body = true\n' + LEAST,
            "g.toml:2: limits.body must",
            id="quotes in a comment",
        ),
        pytest.param(
            "trusted_proxies = [\n  ['10.0.0.0/8'],  # ]\n]\nlimits.body = true\n",
            "g.toml:4: limits.body must",
            id="an array in an array",
        ),
        pytest.param(
            """x = \"\"\"\"a\\\"\"\"\"\nlimits.body = true\n""",
            "g.toml:2: limits.body must",
            id="quotes beside quotes",
        ),
        pytest.param(
            "[tls]\nkey = 'k'\ncertificate = \"a\\u0000\"",
            "g.toml:3: tls.certificate must be a file's name",
            id="a file's name that none has",
        ),
        pytest.param(
            "dropped_headers = ['x-*-id']",
            "g.toml:1: dropped_headers must be header names, of which `*` may be",
            id="a star within a name",
        ),
        pytest.param(
            "\n[a]\n" + "a.'b'. \"c\" ." * 20_000 + "d = 1",
            "g.toml:3: has a key of more than 100 parts",
            id="a key of very many parts",
        ),
        pytest.param(
            f"trusted_proxies = [{{ {'a.' * 3_000}b = 1 }}]",
            "g.toml:1: has a key of more than 100 parts",
            id="the same within a value",
        ),
        pytest.param(
            '# it\'s """\n' + '"a \\" b" . ' * 8_000 + "c = 1",
            "g.toml:2: has a key of more than 100 parts",
            id="the same of quoted parts, after a comment with quotes",
        ),
        pytest.param(
            "cors.request_headers = ['*']",
            "g.toml:1: cors.request_headers must be header names, never `*`",
            id="a star, which lets no Authorization through",
        ),
        pytest.param(
            "public_url = 'https://[::1'",
            "g.toml:1: public_url must be a URL like",
            id="half an address",
        ),
        pytest.param(
            "dropped_headers = ['*']",
            "g.toml:1: dropped_headers must be header names",
            id="every header",
        ),
    ],
)
def test_fault_is_named(text: str, fault: str) -> None:
    assert any(each.startswith(fault) for each in faults(text)), faults(text)


@pytest.mark.parametrize(
    "text",
    [
        "# {}",
        "public_url = 'http://{}'",
        'public_url = "http://\\"{}"',
        "public_url = '''\n{}'''",
        'public_url = """\n{}\\""""',
    ],
)
def test_only_the_parts_of_a_key_are_counted(text: str) -> None:
    found = faults(text.format("a." * 200))
    assert not [each for each in found if "parts" in each]


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "null",
        "https://app.test/",
        "https://app.test:443",
        "http://app.test:80",
        "https://App.test",
        "app.test",
        "https://app.test/path",
        "https://user@app.test",
        "https://app.test:0443",
        "https://",
        "",
    ],
)
def test_c1_origin_that_no_browser_sends_is_a_fault(origin: str) -> None:
    assert "must be origins like" in faults(f"{LEAST}[cors]\norigins = ['{origin}']")[0]


@pytest.mark.parametrize("network", ["0.0.0.0/0", "0.0.0.0/1", "::/0", "2000::/3"])
def test_a_network_of_proxies_that_has_clients_in_it_is_a_fault(network: str) -> None:
    [fault] = faults(f"trusted_proxies = ['10.0.0.0/8', '{network}']\n{LEAST}")
    assert fault.startswith("g.toml:1: trusted_proxies must name proxies alone; ")
    assert network in fault


@pytest.mark.parametrize(
    "address",
    [
        "http://content",
        "https://content:8002",
        "http://content:0",
        "http://content:65536",
        "http://content:8002/path",
        "http://user@content:8002",
        "http://content:8002?probe=65536",
        "http://[::1:8002",
        "http://[:::]:8002",
        "http://[10.0.0.1]:8002",
        "http://10.0.0.256:8002",
        "http://con tent:8002",
        "srv://",
        "",
    ],
)
def test_address_that_cannot_be_used_is_a_fault(address: str) -> None:
    text = LEAST.replace("http://content:8002", address)

    assert faults(text)[0].startswith("g.toml:2: upstreams.content.addresses must")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://user:secret/@content:8002", "'http://…@content:8002'"),
        ("user:secret@content:8002", "'…@content:8002'"),
        ("user:it's secret@content:8002", '"…@content:8002"'),
    ],
)
def test_a_fault_of_an_address_repeats_no_password(address: str, shown: str) -> None:
    text = LEAST.replace("http://content:8002", address)

    (fault,) = faults(text)
    assert fault.endswith(f"; {shown} is not")


@pytest.mark.parametrize(
    "prefix",
    ["", "api", "/api//test", "/api/../x", "/api/%2e", "/a?b", "/a b", "/a\\b"],
)
def test_prefix_that_could_match_nothing_safe_is_a_fault(prefix: str) -> None:
    text = LEAST.replace("/api/test", prefix.replace("\\", "\\\\"))

    assert "routes[0].prefix must be" in faults(text)[0]


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "get", "BREW"])
def test_g3_method_the_gateway_never_forwards_is_a_fault(method: str) -> None:
    assert "routes[0].methods must be of" in faults(f'{LEAST}methods = ["{method}"]')[0]


@pytest.mark.parametrize(
    "store",
    [
        "valkey://",
        "valkey://a:99999",
        "valkey://a/first",
        "valkey://[::1",
        "valkey://:secret@a\u2100b",
        "valkey://a?socket_timeout=soon",
        "valkey://a?db=first",
        "valkey://a?unknown=1",
        "valkeys://a?ssl_cert_reqs=some",
        f"valkey+sentinel://a/service?ssl_ca_certs={PRODUCT_FILE}",
        "valkey+sentinel://a/service?sentinel_password=x&socket_timeout=1",
    ],
)
def test_store_that_cannot_be_connected_to_is_a_fault(store: str) -> None:
    [fault] = faults(f'rate_limit_store = "{store}"\n{LEAST}')
    assert fault.startswith("g.toml:1: rate_limit_store must be")


def test_faults_of_the_environment_name_the_variable() -> None:
    found = faults(
        LEAST,
        {
            "GATEWAY_ALLOWED_ORIGINS": "https://ok.test,app.test",
            "GATEWAY_ALLOW_CREDENTIALS": "maybe",
            "GATEWAY_UPSTREAM_NOWHERE": "http://a:1",
            "GATEWAY_UPSTREAM_CONTENT": "content:8002",
            "GATEWAY_TRUSTED_PROXIES": "all",
            "GATEWAY_RATE_LIMIT_STORE": "postgres://x",
        },
    )

    assert sorted(fault.partition(":")[0] for fault in found) == [
        "GATEWAY_ALLOWED_ORIGINS",
        "GATEWAY_ALLOW_CREDENTIALS",
        "GATEWAY_RATE_LIMIT_STORE",
        "GATEWAY_TRUSTED_PROXIES",
        "GATEWAY_UPSTREAM_CONTENT",
        "GATEWAY_UPSTREAM_NOWHERE",
    ]


def test_what_is_no_regular_file_is_a_fault(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for name in (pipe, tmp_path, Path("/dev/zero")):
        with pytest.raises(ConfigError, match="it is not a regular file"):
            read_config(name, {})

    (tmp_path / "log").write_bytes(b"#" * 4_194_305)
    with pytest.raises(ConfigError, match="it has more than 4194304 bytes"):
        read_config(tmp_path / "log", {})


def test_file_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_config(tmp_path / "absent.toml", {})

    (tmp_path / "marked.toml").write_text(LEAST, "utf-8-sig")
    assert read_config(tmp_path / "marked.toml", {}).routes

    (tmp_path / "latin.toml").write_bytes(b'a = "\xe9"')
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_config(tmp_path / "latin.toml", {})
