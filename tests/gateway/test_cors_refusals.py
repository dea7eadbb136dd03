"""What a page may not do is one line in the log, with what to change."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.gateway import ALLOWED_ORIGIN, config_for, running_gateway
from tests.support.raw_client import ask
from tests.support.raw_upstream import RawUpstream

from gateway_service.config.clients import CorsConfig
from gateway_service.config.values import CorsAccess
from gateway_service.proxy.cors_refusals import CorsRefusals

GET = "GET /api/x HTTP/1.1\r\nHost: gateway.test\r\nOrigin: {}\r\n\r\n"
PREFLIGHT = (
    "OPTIONS /api/x HTTP/1.1\r\nHost: gateway.test\r\nOrigin: {}\r\n"
    "Access-Control-Request-Method: POST\r\n\r\n"
)


def refused(caplog: pytest.LogCaptureFixture) -> list[str]:
    records = [r for r in caplog.records if r.message == "origin_refused"]
    assert all("GATEWAY_ALLOWED_ORIGINS" in vars(r)["setting"] for r in records)
    assert all(r.levelno == logging.WARNING for r in records)
    return [vars(r)["origin"] for r in records]


async def test_each_refused_origin_is_named_once(
    upstream: RawUpstream, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_gateway(config_for(upstream.port), tmp_path) as gateway:
        for request in (PREFLIGHT, GET, PREFLIGHT):
            for origin in ("https://one.test", "https://two.test", "null"):
                await ask(gateway.port, request.format(origin).encode())
    assert refused(caplog) == ["https://one.test", "https://two.test", "null"]


async def test_what_is_allowed_or_within_one_origin_is_not_named(
    upstream: RawUpstream, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_gateway(config_for(upstream.port), tmp_path) as gateway:
        for origin in (ALLOWED_ORIGIN, "http://gateway.test", "https://gateway.test"):
            await ask(gateway.port, GET.format(origin).encode())
        for origin, port in (("http", "80"), ("https", "443")):
            request = GET.format(f"{origin}://gateway.test")
            request = request.replace(
                "Host: gateway.test", f"Host: Gateway.Test:{port}"
            )
            await ask(gateway.port, request.encode())
        await ask(gateway.port, b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n")
    assert refused(caplog) == []


async def test_the_public_url_is_the_gateways_own_origin(
    upstream: RawUpstream, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As where a proxy that says nothing of it has put another host into Host."""
    config = config_for(upstream.port, public_url="https://Public.test:443/base")
    async with running_gateway(config, tmp_path) as gateway:
        for origin in ("https://public.test", "http://public.test"):
            await ask(gateway.port, GET.format(origin).encode())
    assert refused(caplog) == ["http://public.test"]


async def test_a_proxy_may_say_another_host(
    upstream: RawUpstream, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = config_for(upstream.port, trusted_proxies=("127.0.0.0/8",))
    request = GET.format("https://public.test").replace(
        "\r\n\r\n", "\r\nX-Forwarded-Host: public.test\r\n\r\n"
    )
    async with running_gateway(config, tmp_path) as gateway:
        await ask(gateway.port, request.encode())
        await ask(gateway.port, request.replace("s://public", "s://other").encode())
    assert refused(caplog) == ["https://other.test"]


async def test_where_every_port_is_allowed_none_is_named(
    upstream: RawUpstream, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = config_for(upstream.port)
    config = replace(config, cors=CorsConfig(origins=frozenset({"http://localhost:*"})))
    async with running_gateway(config, tmp_path) as gateway:
        for origin in ("http://localhost:5173", "http://127.0.0.1:5173"):
            await ask(gateway.port, GET.format(origin).encode())
    assert refused(caplog) == ["http://127.0.0.1:5173"]


async def test_what_a_preflight_does_not_offer_is_named_once(
    upstream: RawUpstream, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    methods = frozenset({"GET", "OPTIONS", "PUT"})
    async with running_gateway(
        config_for(upstream.port, methods=methods), tmp_path
    ) as gateway:
        for method, headers in (
            ("PUT", "authorization,content-type"),
            ("POST", ""),  # which browsers send whatever is offered
            ("PUT", "Authorization,x-app-version"),
            ("PATCH", "x-\xff"),
        ):
            request = PREFLIGHT.format(ALLOWED_ORIGIN).replace(
                "POST\r\n", f"{method}\r\nAccess-Control-Request-Headers: {headers}\r\n"
            )
            for _ in range(2):
                answer = await ask(gateway.port, request.encode("latin-1"))
                assert answer.status == 204
        no_preflight = PREFLIGHT.format(ALLOWED_ORIGIN).replace("-Method", "-Headers")
        await ask(gateway.port, no_preflight.encode())
    records = [r for r in caplog.records if r.message == "preflight_refused"]
    assert [vars(r)["not_offered"] for r in records] == [
        "x-app-version",
        "PATCH, x-\\xff",
    ]
    assert all(vars(r)["origin"] == ALLOWED_ORIGIN for r in records)
    assert all("cors.request_headers" in vars(r)["setting"] for r in records)
    assert refused(caplog) == []


async def test_what_one_route_does_not_offer_hides_no_other_routes(
    upstream: RawUpstream, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = config_for(upstream.port, methods=frozenset({"GET"}))
    (route,) = config.routes
    config = replace(config, routes=(route, replace(route, prefix="/other")))
    put = PREFLIGHT.format(ALLOWED_ORIGIN).replace("POST", "PUT")
    async with running_gateway(config, tmp_path) as gateway:
        for path in ("/api/x", "/other", "/api"):
            await ask(gateway.port, put.replace("/api/x", path).encode())
    records = [r for r in caplog.records if r.message == "preflight_refused"]
    assert [vars(r)["route"] for r in records] == ["/api", "/other"]


async def test_a_public_route_refuses_nobody(
    upstream: RawUpstream, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = config_for(upstream.port, cors=CorsAccess.PUBLIC)
    async with running_gateway(config, tmp_path) as gateway:
        await ask(gateway.port, GET.format("https://one.test").encode())
    assert refused(caplog) == []


def test_invented_origins_fill_neither_log_nor_memory(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 0.0
    origins = CorsRefusals(lambda: now)
    for number in range(10_000):
        client = f"2001:db8:0:{number % 50:x}::{number:x}"
        origin = b"https://%d.test" % number + b"x" * 5_000
        origins.note_origin(origin, "/api", client)
    assert len(refused(caplog)) == 100
    assert max(map(len, refused(caplog))) <= 256
    now = 3_601.0
    origins.note_origin(b"https://late.test", "/api", "2001:db8::1")
    assert refused(caplog)[-1] == "https://late.test"
    assert vars(caplog.records[-1])["left_out_before"] == 9_900


def test_a_client_that_invents_origins_hides_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    origins = CorsRefusals(lambda: 0.0)
    for number in range(200):
        client = f"2001:db8::{number:x}"
        origins.note_origin(b"https://%d.test" % number, "/api", client)
    origins.note_origin(b"https://page.test", "/api", "203.0.113.1")
    assert refused(caplog) == [
        *(f"https://{number}.test" for number in range(5)),
        "https://page.test",
    ]
    assert vars(caplog.records[-1])["left_out_before"] == 195


async def test_a_client_behind_a_proxy_hides_no_other(
    upstream: RawUpstream, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = config_for(upstream.port, trusted_proxies=("127.0.0.0/8",))
    async with running_gateway(config, tmp_path) as gateway:
        for number, client in enumerate(["192.0.2.1"] * 6 + ["192.0.2.2"]):
            request = GET.format(f"https://{number}.test").replace(
                "\r\n\r\n", f"\r\nX-Forwarded-For: {client}\r\n\r\n"
            )
            await ask(gateway.port, request.encode())
    assert refused(caplog) == [
        f"https://{number}.test" for number in (0, 1, 2, 3, 4, 6)
    ]
