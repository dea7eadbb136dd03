"""`gateway-service explain` says what the gateway would do, and does not do it."""

from pathlib import Path

import pytest
from tests.support.gateway import ALLOWED_ORIGIN, config_for, running_gateway
from tests.support.raw_client import ask
from tests.support.raw_upstream import RawUpstream

from gateway_service.config.clients import RateLimit
from gateway_service.config.model import Config, Timeouts
from gateway_service.config.values import NO_LIMIT
from gateway_service.operations.explain import (
    RequestDescription,
    explain,
    explanation_of,
)

FILE = """
[upstreams.content]
addresses = ["http://127.0.0.1:9"]
[[routes]]
prefix = "/api/test"
upstream = "content"
methods = ["GET", "HEAD"]
rate_limit = { requests = 10, seconds = 60 }
"""


def told(config: Config, method: str, url: str, *headers: str) -> str:
    return "\n".join(
        explanation_of(config, RequestDescription(method, url, headers)).lines
    )


@pytest.mark.parametrize(
    ("request_line", "code", "words"),
    [
        ("GET http://localhost:8080/api/test/all?a=b", 0, "sent to content"),
        ("GET /api/test", 0, "sent to content"),
        ("GET http://localhost?a=b", 0, "the gateway's own page"),
        ("GET /api/test#part", 0, "sent to content"),
        ("GET /", 0, "the gateway's own page"),
        ("GET /console", 0, "the gateway's own page"),
        ("DELETE /console", 1, "405 method_not_allowed"),
        ("GET /api/tests", 1, "404 not_found"),
        ("GET /api/test/../users", 1, "404 not_found"),
        ("POST /api/test/all", 1, "405 method_not_allowed"),
        ("GET /api/test/%zz", 1, "400: The request target is malformed."),
        ("CONNECT a:443", 1, "501"),
        ("OPTIONS *", 0, "204"),
        ("GET /api/test/\udcff", 1, "400: The request target is malformed."),
    ],
)
def test_the_outcome_is_told_and_is_the_exit_code(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    request_line: str,
    code: int,
    words: str,
) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(FILE)
    method, url = request_line.split()

    assert explain(path, {}, RequestDescription(method, url, [])) == code
    assert words in capsys.readouterr().out.splitlines()[-1]


def test_what_the_headers_say_is_told() -> None:
    config = config_for(8002)
    assert "sent to content" in told(config, "GET", "/api/x", "Host: a.example")
    assert "sent to content" in told(config, "GET", "/api/x", "Via: 1.1 other")
    assert "508 loop_detected" in told(config, "GET", "/api/x", "Via: 1.1 Gateway")


def test_a_preflight_is_told_with_a_route_and_without() -> None:
    config = config_for(8002)
    headers = ("Origin: https://a.test", "Access-Control-Request-Method: GET")
    for path in ("/api/x", "/nothing"):
        assert "204: a preflight" in told(config, "OPTIONS", path, *headers)


def test_a_total_without_limit_is_told() -> None:
    timeouts = Timeouts(total=NO_LIMIT)
    assert "total without limit" in told(
        config_for(8002, timeouts=timeouts), "GET", "/api/x"
    )


def test_an_options_that_may_go_no_further_is_told() -> None:
    config = config_for(8002)
    for hops, words in (("0", "204: the route's"), ("1", "sent to"), ("x", "400 inv")):
        assert words in told(config, "OPTIONS", "/api/x", f"Max-Forwards: {hops}")


def test_limits_that_are_off_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(FILE)
    off = {"GATEWAY_RATE_LIMITS": "off"}
    assert explain(path, off, RequestDescription("GET", "/api/test", [])) == 0
    assert "rate limit  none" in capsys.readouterr().out


def test_a_bad_configuration_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text("nothing = 1")

    with pytest.raises(SystemExit) as ended:
        explain(path, {}, RequestDescription("GET", "/", []))

    assert ended.value.code == 2
    assert "gateway.toml:1" in capsys.readouterr().err


def test_route_upstream_and_policies_are_told() -> None:
    limit = RateLimit(requests=10, seconds=60)
    config = config_for(8002, rate_limit=limit, body_limit=5)

    text = told(config, "GET", "/api/x", "X-Forwarded-For: 1.2.3.4", "Accept: */*")

    for line in (
        "request     GET /api/x",
        "route       /api",
        "rate limit  10 requests in 60 s from one address",
        "body limit  5 bytes",
        "upstream    content at http://127.0.0.1:8002",
        "not passed  x-forwarded-for",
        "outcome     sent to content",
    ):
        assert line in text.splitlines()
    assert "413" in told(config, "POST", "/api/x", "Content-Length: 6")


@pytest.mark.parametrize(
    ("method", "headers", "words"),
    [
        ("GET", ["Origin: https://evil.example"], "may not read the response"),
        ("GET", ["Origin: http://localhost:8081"], "may read the response"),
        (
            "GET",
            ["Origin: http://localhost:8081", "x-access-token: t"],
            "asked first, because of x-access-token",
        ),
        (
            "DELETE",
            ["Origin: http://localhost:8081"],
            "asked first, because of DELETE",
        ),
        (
            "GET",
            ["Origin: http://localhost:8081", "X-Own: 1"],
            "the browser stops: x-own not offered",
        ),
        (
            "OPTIONS",
            [
                "Origin: http://localhost:8081",
                "Access-Control-Request-Method: PUT",
                "Access-Control-Request-Headers: content-type,x-own",
            ],
            "the browser stops: x-own not offered",
        ),
        (
            "OPTIONS",
            ["Origin: http://localhost:8081", "Access-Control-Request-Method: patch"],
            "the browser stops: patch not offered",
        ),
        (
            "OPTIONS",
            ["Origin: http://localhost:8081", "Access-Control-Request-Method: PUT"],
            "204: a preflight",
        ),
        ("GET", [], "the request has no Origin"),
    ],
)
def test_the_cors_outcome_is_told(method: str, headers: list[str], words: str) -> None:
    assert words in told(config_for(8002), method, "/api/x", *headers)


def test_pages_of_the_public_url_need_no_cors() -> None:
    config = config_for(8002, public_url="https://app.example")
    text = told(config, "POST", "/api/x", "Origin: https://app.example")
    assert "CORS        the page is the gateway's own" in text
    assert "allow it" not in text


def test_without_a_host_no_page_is_the_gateways_own() -> None:
    text = told(config_for(8002), "POST", "/api/x", "Origin: http://localhost")
    assert "allow it" in text


@pytest.mark.parametrize("origin", ["http://gateway.test", "https://gateway.test"])
def test_pages_of_the_requests_host_need_no_cors(origin: str) -> None:
    headers = ("Host: Gateway.test:443", f"Origin: {origin}")
    text = told(config_for(8002), "POST", "/api/x", *headers)
    is_own = origin.startswith("https")
    assert ("CORS        the page is the gateway's own" in text) is is_own
    assert ("allow it" in text) is not is_own


def test_a_header_cannot_bring_a_second_one() -> None:
    assert "400" in told(config_for(1), "GET", "/api/x", "A: b\r\nOrigin: c")


@pytest.mark.parametrize("origin", [ALLOWED_ORIGIN, "https://evil.example"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
async def test_what_it_tells_is_what_the_gateway_sends(
    upstream: RawUpstream, tmp_path: Path, origin: str, method: str
) -> None:
    config = config_for(upstream.port)
    headers = [f"Origin: {origin}", "Access-Control-Request-Method: PUT"]
    text = told(config, method, "/api/x", *headers)
    head = "\r\n".join([f"{method} /api/x HTTP/1.1", "Host: localhost", *headers])

    async with running_gateway(config, tmp_path) as gateway:
        response = await ask(gateway.port, f"{head}\r\n\r\n".encode())

    allowed = response.values("Access-Control-Allow-Origin")
    assert [f"            Access-Control-Allow-Origin: {each}" for each in allowed] == [
        line for line in text.splitlines() if "Access-Control-Allow-Origin" in line
    ][:1]
