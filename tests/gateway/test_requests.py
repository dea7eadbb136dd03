"""How a request is understood before it is passed on (G3, G5-G9, G17)."""

import asyncio
from pathlib import Path

import pytest
from tests.support.gateway import (
    ALLOWED_ORIGIN,
    RunningGateway,
    config_for,
    running_gateway,
)
from tests.support.raw_client import ask, raw_client
from tests.support.raw_upstream import RawUpstream
from tests.support.waiting import until

from gateway_service.config.clients import Limits


@pytest.mark.parametrize("method", ["TRACE", "FOO", "get"])
async def test_g3_methods_a_route_does_not_name_are_refused(
    method: str, gateway: RunningGateway, upstream: RawUpstream
) -> None:
    request = f"{method} /api/x HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n"
    answer = await ask(gateway.port, request.encode())
    assert answer.status == 405
    assert "GET" in (answer.value("Allow") or "")
    assert upstream.calls == []


@pytest.mark.parametrize("target", ["127.0.0.1:{port}", "/api/x", "a:443"])
async def test_g3_connect_is_refused(
    target: str, gateway: RunningGateway, upstream: RawUpstream
) -> None:
    request = f"CONNECT {target.format(port=upstream.port)} HTTP/1.1\r\nHost: a\r\n\r\n"
    assert (await ask(gateway.port, request.encode())).status == 501
    assert upstream.calls == []


async def test_a_method_longer_than_any_known_is_refused_and_not_logged(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    request = b"%b /api/x HTTP/1.1\r\nHost: a\r\n\r\n" % (b"GET" * 1_000)
    assert (await ask(gateway.port, request)).status == 501
    await until(gateway.access_log.read_bytes)
    assert b"GETGET" not in gateway.access_log.read_bytes()
    assert upstream.calls == []


async def test_g3_max_forwards_is_counted_down_and_ends_here(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    request = b"OPTIONS /api/x HTTP/1.1\r\nHost: a\r\nMax-Forwards: %d\r\n\r\n"
    assert (await ask(gateway.port, request % 2)).status == 200
    assert upstream.requests[0].value("Max-Forwards") == "1"
    answer = await ask(gateway.port, request % 0)
    assert answer.status == 204
    assert "GET" in (answer.value("Allow") or "")
    assert len(upstream.requests) == 1


async def test_g3_a_malformed_max_forwards_is_refused(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    request = b"OPTIONS /api/x HTTP/1.1\r\nHost: a\r\nMax-Forwards: -1\r\n\r\n"
    assert (await ask(gateway.port, request)).status == 400
    assert upstream.calls == []


@pytest.mark.parametrize("target", ["*", "http://a", "HTTPS://a:443"])
async def test_g3_options_of_the_server_itself_is_answered_here(
    target: str, gateway: RunningGateway, upstream: RawUpstream
) -> None:
    request = f"OPTIONS {target} HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = await ask(gateway.port, request.encode())
    assert answer.status == 204
    assert "POST" in (answer.value("Allow") or "")
    assert upstream.calls == []


BAD_HOSTS = {
    "missing": b"",
    "twice": b"Host: a\r\nHost: a\r\n",
    "differ": b"Host: a\r\nHost: b\r\n",
    "empty": b"Host:\r\n",
    "space": b"Host: a b\r\n",
    "path": b"Host: a/b\r\n",
    "user": b"Host: u@a\r\n",
    "angle": b"Host: a<x>\r\n",
    "list": b"Host: a, b\r\n",
    "port": b"Host: a:b\r\n",
    "long port": b"Host: a:123456\r\n",
    "colons": b"Host: a:1:2\r\n",
    "port that none is": b"Host: a:65536\r\n",
    "bracket": b"Host: [::1\r\n",
    "address with two gaps": b"Host: [1::2::3]:80\r\n",
    "IPv4 in brackets": b"Host: [127.0.0.1]\r\n",
    "query": b"Host: a?b\r\n",
    "obs-text": b"Host: \xff\r\n",
    "percent": b"Host: a%zz\r\n",
    "backslash": b"Host: a\\b\r\n",
}


@pytest.mark.parametrize("lines", BAD_HOSTS.values(), ids=BAD_HOSTS.keys())
async def test_g5_a_bad_host_is_refused(
    lines: bytes, gateway: RunningGateway, upstream: RawUpstream
) -> None:
    answer = await ask(gateway.port, b"GET /api/x HTTP/1.1\r\n" + lines + b"\r\n")
    assert answer.status == 400
    assert answer.json()["code"] == "invalid_request"
    assert upstream.calls == []


@pytest.mark.parametrize("host", ["a", "a.example:80", "a:", "127.0.0.1:8", "[::1]:8"])
async def test_g5_a_good_host_is_passed_on(
    host: str, gateway: RunningGateway, upstream: RawUpstream
) -> None:
    request = f"GET /api/x HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    assert (await ask(gateway.port, request)).status == 200
    assert upstream.requests[0].value("Host") == host


async def test_g6_an_absolute_target_gives_the_host_and_is_never_dialled(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    dialled = []
    listener = await asyncio.start_server(lambda *_: dialled.append(1), "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        request = f"GET http://127.0.0.1:{port}/api/x?q HTTP/1.1\r\nHost: b\r\n\r\n"
        assert (await ask(gateway.port, request.encode())).status == 200
        recorded = upstream.requests[0]
        assert recorded.target == "/api/x?q"
        assert recorded.value("Host") == f"127.0.0.1:{port}"
        listener.close()
    assert dialled == []


@pytest.mark.parametrize(
    "target",
    [
        *("http:///api/x", "ftp://a/api/x", "http://u@a/api/x", "http://[:::]/api/x"),
        *("//a/api/x", "api/x", "?x"),
    ],
)
async def test_g6_other_targets_reach_nobody(
    target: str, gateway: RunningGateway, upstream: RawUpstream
) -> None:
    request = f"GET {target} HTTP/1.1\r\nHost: b\r\n\r\n".encode()
    assert (await ask(gateway.port, request)).status in {400, 404}
    assert upstream.calls == []


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /api/" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET /api/" + b"a" * 70_000, 414),
        (b"GET /api HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 9_000 + b"\r\n\r\n", 431),
        (b"GET /api HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 70_000, 431),
        (b"GET /api HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 101 + b"\r\n", 431),
        (
            b"GET /api HTTP/1.1\r\nHost: a\r\n"
            + b"".join(b"X%d: %b\r\n" % (n, b"a" * 8_000) for n in range(5))
            + b"\r\n",
            431,
        ),
    ],
    ids=["line", "endless line", "field", "endless field", "count", "fields"],
)
async def test_g7_g17_heads_have_limits(
    request_: bytes, status: int, gateway: RunningGateway, upstream: RawUpstream
) -> None:
    async with raw_client(gateway.port) as client:
        await client.send(request_)
        answer = await client.answer()
        assert answer.status == status
        assert answer.value("Content-Type") == "application/problem+json"
        assert answer.json()["status"] == status
        assert await client.rest() == b""
    assert upstream.calls == []


async def test_g7_what_is_just_within_the_limits_passes(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    target = b"/api/" + b"a" * (8_192 - len(b"GET /api/ HTTP/1.1"))
    request = b"GET %b HTTP/1.1\r\nHost: a\r\nX: %b\r\n\r\n" % (target, b"a" * 8_189)
    assert (await ask(gateway.port, request)).status == 200
    assert upstream.requests[0].target == target.decode()


@pytest.mark.parametrize(
    "target",
    [
        "/api/a%20b",
        "/api/%E2%82%AC",
        "/api/a;b=c/@:!$&'()*+,=~._-",
        "/api/%25%32%66".replace("%32%66", ""),
        '/api/x?a=/../b&c=%2e%2E//\\"<>`{|}^[]',
        "/api/x?",
        "/api",
        "/api/",
        "/api/.well-known/a..b/...",
    ],
)
async def test_g8_a_path_reaches_the_upstream_byte_for_byte(
    target: str, gateway: RunningGateway, upstream: RawUpstream
) -> None:
    request = f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    assert (await ask(gateway.port, request)).status == 200
    assert upstream.requests[0].target == target


@pytest.mark.parametrize(
    ("target", "spelling"),
    [
        ("/api/a[1]?b[]=ü", "/api/a%5B1%5D?b[]=%C3%BC"),
        ("/api/%7Ea|b", "/api/~a%7Cb"),
        ("/%61pi/ü", "/api/%C3%BC"),
        ("/api/\"<x>'", "/api/%22%3Cx%3E'"),
        ("/api/a%2Eb", "/api/a.b"),
    ],
)
async def test_what_browsers_send_is_routed_and_passed_on_in_one_spelling(
    target: str, spelling: str, gateway: RunningGateway, upstream: RawUpstream
) -> None:
    request = f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    assert (await ask(gateway.port, request)).status == 200
    assert upstream.requests[0].target == spelling


AMBIGUOUS = [
    "/api/[/../admin",
    "/api/[/%2e%2E/admin",
    "/api/~/%2e/x",
    "/api/[%2fx",
    "/api/[%5cx",
    "/api/../admin",
    "/api/./x",
    "/api/..",
    "/api/.",
    "/api/%2e%2e/admin",
    "/api/%2E./admin",
    "/api/.%2e/admin",
    "/api/..;/admin",
    "/api/..;a=b/admin",
    "/api/..%2fadmin",
    "/api%2fx",
    "/api%2Fx",
    "/api/x%5cy",
    "/api/x\\y",
    "/api/..\\admin",
    "//api/x",
    "/api//x",
    "/api/x//",
    "/api/%00",
    "/api/%0a",
    "/api/%7f",
    "/api/%zz",
    "/api/%",
    "/api/%2",
    "/api/x#y",
    "/apix",
    "/API/x",
]


@pytest.mark.parametrize("target", AMBIGUOUS)
async def test_g8_a_path_with_two_readings_reaches_nobody(
    target: str, gateway: RunningGateway, upstream: RawUpstream
) -> None:
    request = f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    assert (await ask(gateway.port, request)).status in {400, 404}
    assert upstream.calls == []


@pytest.mark.parametrize(
    "path",
    ["/metrics", "/livez", "/readyz", "/status", "/internal", "/health", "/admin"],
)
async def test_g9_only_routes_lead_anywhere(
    path: str, gateway: RunningGateway, upstream: RawUpstream
) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    answer = await ask(gateway.port, request)
    assert (answer.status, answer.json()["code"]) == (404, "not_found")
    assert upstream.calls == []


async def test_g17_a_body_beyond_the_limit_is_refused_unread(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    head = b"POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000000\r\n\r\n"
    async with raw_client(gateway.port) as client:
        await client.send(head)
        answer = await client.answer()
        assert answer.status == 413
        assert answer.value("Connection") == "close"
    assert upstream.calls == []


async def test_g17_a_chunked_body_beyond_the_limit_is_never_whole_upstream(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    head = b"POST /api/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
    async with raw_client(gateway.port) as client:
        await client.send(head, *[chunk] * 20)
        assert (await client.answer()).status == 413
    assert upstream.requests == []


async def test_g17_connections_of_one_client_have_a_limit(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    config = config_for(upstream.port, limits=Limits(connections_per_client=2))
    async with (
        running_gateway(config, tmp_path) as gateway,
        raw_client(gateway.port),
        raw_client(gateway.port),
    ):
        await asyncio.sleep(0.05)
        async with raw_client(gateway.port) as third:
            answer = await third.answer()
    assert answer.status == 503
    assert answer.value("Retry-After") == "1"


async def test_c3_a_preflight_succeeds_where_the_request_will_be_refused(
    gateway: RunningGateway,
) -> None:
    """Else browsers tell the page of a network error, and not of the 404."""
    for path in ("/nothing", "/api//x", "/console", "/api/x"):
        preflight = (
            f"OPTIONS {path} HTTP/1.1\r\nHost: a\r\nOrigin: {ALLOWED_ORIGIN}\r\n"
            "Access-Control-Request-Method: GET\r\n\r\n"
        )
        answer = await ask(gateway.port, preflight.encode())
        assert answer.status == 204
        assert answer.value("Access-Control-Allow-Origin") == ALLOWED_ORIGIN
        assert "x-access-token" in (answer.value("Access-Control-Allow-Headers") or "")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /nothing HTTP/1.1\r\nHost: a\r\n", 404),
        (b"TRACE /api/x HTTP/1.1\r\nHost: a\r\n", 405),
        (b"POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n", 413),
        (b"GET /api/x HTTP/1.1\r\n", 400),
        (b"GET /api/x HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 9_000 + b"\r\n", 431),
    ],
    ids=["404", "405", "413", "400", "431"],
)
async def test_c5_pages_may_read_the_gateways_own_refusals(
    request_: bytes, status: int, gateway: RunningGateway
) -> None:
    request = request_ + f"Origin: {ALLOWED_ORIGIN}\r\n\r\n".encode()
    answer = await ask(gateway.port, request)
    assert answer.status == status
    assert answer.value("Access-Control-Allow-Origin") == ALLOWED_ORIGIN
    assert "Retry-After" in (answer.value("Access-Control-Expose-Headers") or "")
    assert answer.value("X-Content-Type-Options") == "nosniff"
