"""Which header fields cross the gateway (G1, G2, G10, G18)."""

import time
from pathlib import Path

import pytest
from tests.support.gateway import RunningGateway, config_for, running_gateway
from tests.support.raw_client import Received, ask
from tests.support.raw_upstream import RawUpstream, Recorded


async def sent_on(
    gateway: RunningGateway, upstream: RawUpstream, *lines: str, version: str = "1.1"
) -> Recorded:
    head = "\r\n".join([f"GET /api/x HTTP/{version}", "Host: shop.example", *lines])
    answer = await ask(gateway.port, f"{head}\r\n\r\n".encode("latin-1"))
    assert answer.status == 200
    return upstream.requests[-1]


HOP_BY_HOP = [
    "Connection: keep-alive",
    "Keep-Alive: timeout=5",
    "Proxy-Connection: keep-alive",
    "Proxy-Authorization: Basic eHg6eHg=",
    "Proxy-Authenticate: Basic",
    "TE: trailers",
    "Trailer: X-Checksum",
    "Upgrade: h2c",
    "HTTP2-Settings: AAMAAABkAAQAAP__",
]


@pytest.mark.parametrize("line", HOP_BY_HOP, ids=lambda line: line.split(":")[0])
async def test_g1_hop_by_hop_fields_of_requests_end_here(
    line: str, gateway: RunningGateway, upstream: RawUpstream
) -> None:
    recorded = await sent_on(gateway, upstream, line, "X-Kept: 1")
    assert recorded.values(line.split(":", maxsplit=1)[0]) == []
    assert recorded.value("X-Kept") == "1"


@pytest.mark.parametrize(
    "connection",
    ["X-Secret", "close, x-secret", "keep-alive,\tX-SECRET ,", "x-other, x-secret"],
)
async def test_g1_fields_that_connection_names_end_here(
    connection: str, gateway: RunningGateway, upstream: RawUpstream
) -> None:
    recorded = await sent_on(
        gateway, upstream, f"Connection: {connection}", "X-Secret: 1", "X-Kept: 1"
    )
    assert recorded.values("X-Secret") == []
    assert recorded.value("X-Kept") == "1"


async def test_an_option_with_a_space_in_it_names_no_field(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    recorded = await sent_on(gateway, upstream, "Connection: x-ke pt", "X-Kept: 1")
    assert recorded.value("X-Kept") == "1"


@pytest.mark.parametrize("name", ["Host", "Origin", "X-Forwarded-For", "Via"])
async def test_g1_connection_cannot_take_out_what_the_gateway_says(
    name: str, gateway: RunningGateway, upstream: RawUpstream
) -> None:
    recorded = await sent_on(gateway, upstream, f"Connection: {name}")
    assert recorded.value("Host") == "shop.example"
    assert recorded.value("X-Forwarded-For") == "127.0.0.1"
    assert recorded.value("Via") == "1.1 gateway"


async def answered(
    gateway: RunningGateway, upstream: RawUpstream, *lines: str
) -> Received:
    head = "\r\n".join(["HTTP/1.1 200 OK", "Content-Length: 2", *lines])
    upstream.answer = f"{head}\r\n\r\nok".encode("latin-1")
    return await ask(gateway.port, b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n")


ANSWER_LINES = [
    "Keep-Alive: timeout=5",
    "Proxy-Connection: keep-alive",
    "Proxy-Authenticate: Basic",
    "TE: trailers",
    "Trailer: X-Checksum",
    "Upgrade: h2c",
    "Connection: keep-alive",
]


@pytest.mark.parametrize("line", ANSWER_LINES, ids=lambda line: line.split(":")[0])
async def test_g1_hop_by_hop_fields_of_answers_end_here(
    line: str, gateway: RunningGateway, upstream: RawUpstream
) -> None:
    answer = await answered(gateway, upstream, line, "X-Kept: 1")
    assert answer.values(line.split(":", maxsplit=1)[0]) == []
    assert answer.value("X-Kept") == "1"


async def test_g1_fields_that_an_answers_connection_names_end_here(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    answer = await answered(
        gateway, upstream, "Connection: x-secret, close", "X-Secret: 1", "X-Kept: 1"
    )
    assert answer.values("X-Secret") == []
    assert answer.values("Connection") == []
    assert answer.value("X-Kept") == "1"


@pytest.mark.parametrize(
    ("lines", "version", "via"),
    [
        ([], "1.1", ["1.1 gateway"]),
        ([], "1.0", ["1.0 gateway"]),
        (["Via: 1.0 fred"], "1.1", ["1.0 fred, 1.1 gateway"]),
        (["Via: 1.0 fred", "Via: 1.1 p"], "1.1", ["1.0 fred", "1.1 p, 1.1 gateway"]),
    ],
    ids=["first hop", "http 1.0", "second hop", "as many lines as came"],
)
async def test_g2_via_tells_of_this_hop(
    lines: list[str],
    version: str,
    via: list[str],
    gateway: RunningGateway,
    upstream: RawUpstream,
) -> None:
    recorded = await sent_on(gateway, upstream, *lines, version=version)
    assert recorded.values("Via") == via


SPOOFED = [
    "X-User: admin",
    "X-User-Id: 1",
    "X-Username: admin",
    "X_User: admin",
    "x-user_roles: admin",
    "X-Roles: admin",
    "X-Role: admin",
    "X-Real-IP: 10.0.0.1",
    "X-Forwarded-User: admin",
    "X-Forwarded-Prefix: /x",
    "X-Forwarded-Port: 1",
    "X_Forwarded_For: 10.0.0.1",
    "Forwarded: for=10.0.0.1",
    "X-Original-URL: /admin",
    "X-Rewrite-URL: /admin",
    "Proxy: http://evil.example",
    "Remote-User: admin",
    "Remote_User: admin",
    "X-Remote-User: admin",
    "True-Client-IP: 10.0.0.1",
    "X-Auth-Subject: admin",
    "X-Email: admin@example.org",
    "X-JWT-Claim-Sub: admin",
    "x-middleware-subrequest: middleware",
    "CF-Connecting-IP: 10.0.0.1",
    "X-Client-IP: 10.0.0.1",
    "X-HTTP-Method-Override: DELETE",
    "X_HTTP_Method_Override: DELETE",
    "X-Method-Override: DELETE",
    "X-Original-Host: evil.example",
    "X-SSL-Client-Verify: SUCCESS",
    "SSL_CLIENT_VERIFY: SUCCESS",
    "Transfer_Encoding: chunked",
    "Content_Length: 5",
    "Content_Type: application/json",
    "X_Access_Token: a",
    "Proxy_Authorization: Basic eHg6eHg=",
    "Keep_Alive: timeout=5",
    "X.Forwarded.For: 10.0.0.1",
    "Remote!User: admin",
    "Client-Cert: :MIIB:",
    "CF-Access-Authenticated-User-Email: admin@example.com",
    "Impersonate-User: admin",
    "OIDC_CLAIM_sub: admin",
    "Tailscale-User-Login: admin",
    "WL-Proxy-Client-IP: 10.0.0.1",
    "X-Auth-User: admin",
    "X-Consumer-Username: admin",
    "X-WEBAUTH-USER: admin",
    "Base-Url: http://evil.example",
    "Request-Uri: /admin",
    "X-Custom-IP-Authorization: 127.0.0.1",
    "X-Vercel-Forwarded-For: 10.0.0.1",
    "Teleport-Jwt-Assertion: a",
]


@pytest.mark.parametrize("line", SPOOFED, ids=lambda line: line.split(":")[0])
async def test_g10_nobody_speaks_for_the_gateway(
    line: str, gateway: RunningGateway, upstream: RawUpstream
) -> None:
    recorded = await sent_on(gateway, upstream, line)
    assert recorded.values(line.split(":", maxsplit=1)[0]) == []


async def test_the_gateway_says_when_a_request_came(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    recorded = await sent_on(gateway, upstream, "X-Request-Start: 1")
    [told] = recorded.values("X-Request-Start")
    assert abs(int(told) / 1000 - time.time()) < 10


@pytest.mark.parametrize("name", ["my_own_field", "my.own.field"])
async def test_g10_an_unknown_name_with_an_underscore_passes(
    name: str, gateway: RunningGateway, upstream: RawUpstream
) -> None:
    recorded = await sent_on(gateway, upstream, f"{name}: 1")
    assert recorded.value(name) == "1"


async def test_g10_the_operator_settles_which_names_are_dropped(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    dropped = ("X-Secret-*", "X.Own", "Origin", "prefer")
    config = config_for(upstream.port, dropped_headers=dropped)
    async with running_gateway(config, tmp_path) as gateway:
        recorded = await sent_on(
            gateway,
            upstream,
            "Origin: http://localhost:8081",
            "Prefer: return=minimal",
            "X-Secret-Thing: 1",
            "x_own: 1",
            "Remote-User: rosa",
            "X-Real-IP: 10.0.0.1",
        )
    assert recorded.values("X-Secret-Thing") == recorded.values("x_own") == []
    assert recorded.values("Origin") == recorded.values("Prefer") == []
    assert recorded.value("Remote-User") == "rosa"
    assert recorded.values("X-Real-IP") == [], "the gateway's own word, always"


async def test_g10_forwarded_fields_are_rewritten(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    recorded = await sent_on(
        gateway,
        upstream,
        "X-Forwarded-For: 10.0.0.1",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: evil.example",
        "X-Request-Id: mine",
    )
    assert recorded.value("X-Forwarded-For") == "127.0.0.1"
    assert recorded.value("X-Forwarded-Proto") == "http"
    assert recorded.value("X-Forwarded-Host") == "shop.example"
    assert recorded.value("X-Request-Id") != "mine"


async def test_g10_a_trusted_proxy_is_believed(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    config = config_for(upstream.port, trusted_proxies=("127.0.0.0/8",))
    async with running_gateway(config, tmp_path) as gateway:
        recorded = await sent_on(
            gateway,
            upstream,
            "X-Forwarded-For: 203.0.113.7",
            "X-Forwarded-Proto: https",
        )
    assert recorded.value("X-Forwarded-For") == "203.0.113.7, 127.0.0.1"
    assert recorded.value("X-Forwarded-Proto") == "https"


FORGED = "X-Forwarded-For: 6.6.6.6, [2001:DB8::7]:443, 127.0.0.9"


@pytest.mark.parametrize(
    ("header", "lines", "found"),
    [
        pytest.param(
            "forwarded",
            ["X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https"],
            ("127.0.0.1", "http", "shop.example"),
            id="the header that is not trusted is not heard",
        ),
        pytest.param(
            "forwarded",
            [
                'Forwarded: for="[2001:DB8::7]:4711";proto=https;host=a.example',
                "X-Forwarded-Proto: http",
            ],
            ("2001:db8::7, 127.0.0.1", "https", "a.example"),
            id="forwarded",
        ),
        pytest.param(
            "forwarded",
            ['Forwarded: for=6.6.6.6;proto=https, for="203.0.113.7:80";by="a,b"'],
            ("203.0.113.7, 127.0.0.1", "http", "shop.example"),
            id="hearsay and a quoted comma",
        ),
        pytest.param(
            "forwarded",
            ["Forwarded: for=6.6.6.6, for=unknown;proto=https;host=a.example"],
            ("127.0.0.1", "https", "a.example"),
            id="a client that its proxy does not name",
        ),
        pytest.param(
            "x-forwarded-for",
            [
                FORGED,
                "Forwarded: for=6.6.6.6",
                "X-Forwarded-Host: a.example:8443",
            ],
            ("2001:db8::7, 127.0.0.9, 127.0.0.1", "http", "a.example:8443"),
            id="hearsay and ports",
        ),
        pytest.param(
            "x-forwarded-for",
            ['X-Forwarded-For: "203.0.113.7:80"', 'X-Forwarded-Host: a"b'],
            ("203.0.113.7, 127.0.0.1", "http", "shop.example"),
            id="quotes, and a host that is none",
        ),
        pytest.param(
            "x-forwarded-for",
            ["X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: WSS"],
            ("203.0.113.7, 127.0.0.1", "https", "shop.example"),
            id="the scheme of a WebSocket",
        ),
    ],
)
async def test_g10_upstreams_get_what_the_gateway_found_in_one_form(
    header: str,
    lines: list[str],
    found: tuple[str, str, str],
    upstream: RawUpstream,
    tmp_path: Path,
) -> None:
    config = config_for(
        upstream.port, trusted_proxies=("127.0.0.0/8",), trusted_header=header
    )
    async with running_gateway(config, tmp_path) as gateway:
        recorded = await sent_on(gateway, upstream, *lines)
    names = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host")
    assert tuple(map(recorded.value, names)) == found
    assert recorded.values("Forwarded") == []


@pytest.mark.parametrize(
    "via", ["1.1 gateway", "1.0 fred, HTTP/1.1 GateWay (x)", "1.1 a,1.1 gateway,1.1 b"]
)
async def test_a_request_that_came_through_here_before_is_508(
    via: str, gateway: RunningGateway, upstream: RawUpstream
) -> None:
    request = f"GET /api/x HTTP/1.1\r\nHost: a\r\nVia: {via}\r\n\r\n"
    answer = await ask(gateway.port, request.encode())
    assert answer.status == 508
    assert upstream.requests == []


@pytest.mark.parametrize("pseudonym", ["gateway", "outer"])
async def test_a_gateway_before_a_gateway_needs_a_name_of_its_own(
    pseudonym: str, gateway: RunningGateway, upstream: RawUpstream, tmp_path: Path
) -> None:
    config = config_for(gateway.port, pseudonym=pseudonym)
    async with running_gateway(config, tmp_path / pseudonym) as outer:
        answer = await ask(outer.port, b"POST /api/x HTTP/1.1\r\nHost: a\r\n\r\n")
    vias = [request.value("Via") for request in upstream.requests]
    if pseudonym == "outer":
        assert (answer.status, vias) == (200, ["1.1 outer, 1.1 gateway"])
    else:
        assert (answer.status, vias) == (508, [])


async def test_g18_nothing_tells_what_runs_here(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    relayed = await answered(
        gateway, upstream, "Server: Python/3.11 aiohttp/3.14.5", "X-Powered-By: PHP/4"
    )
    own = await ask(gateway.port, b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n")
    bad = await ask(gateway.port, b"GET /nothing HTTP/1.1\r\n\r\n")
    for answer in (relayed, own, bad):
        assert answer.values("Server") == []
        assert answer.values("X-Powered-By") == []


async def test_an_answer_and_its_request_share_one_id(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    answer = await answered(gateway, upstream, "X-Request-Id: of the upstream")
    assert answer.value("X-Request-Id") == upstream.requests[-1].value("X-Request-Id")


async def test_end_to_end_fields_pass_byte_for_byte(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    lines = [
        "X-AcCess-Token:  a  b ",
        "Cookie: a=b; c=\xff",
        "Accept: */*",
        "Accept: a",
    ]
    await sent_on(gateway, upstream, *lines)
    received = bytes(upstream.calls[0].received)
    for line in lines:
        assert line.encode("latin-1") + b"\r\n" in received


async def test_b8_two_challenges_survive(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    challenges = ["WWW-Authenticate: Bearer", 'WWW-Authenticate: Basic realm="a"']
    answer = await answered(gateway, upstream, *challenges)
    assert answer.values("WWW-Authenticate") == ["Bearer", 'Basic realm="a"']
