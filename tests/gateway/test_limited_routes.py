"""What clients, pages and operators see of a route's rate limit."""

import asyncio
import json
from pathlib import Path

import aiohttp
from tests.support.gateway import (
    ALLOWED_ORIGIN,
    RunningGateway,
    config_for,
    running_gateway,
)
from tests.support.gateway_process import gateway_process
from tests.support.raw_client import ask
from tests.support.raw_upstream import RawUpstream

from gateway_service.config.clients import RateLimit
from gateway_service.config.file import read_config
from gateway_service.proxy.rate_limits import RateLimits

GET = b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n"
FROM_PAGE = (
    b"GET /api/x HTTP/1.1\r\nHost: a\r\nOrigin: %b\r\n\r\n" % ALLOWED_ORIGIN.encode()
)
SHIPPED = Path(__file__).parents[2] / "deploy" / "gateway.toml"


async def test_every_response_of_a_limited_route_says_what_is_left(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    config = config_for(upstream.port, rate_limit=RateLimit(3, 60))
    async with running_gateway(config, tmp_path) as gateway:
        responses = [await ask(gateway.port, GET) for _ in range(4)]
    assert [each.status for each in responses] == [200, 200, 200, 429]
    policies = {each.value("RateLimit-Policy") for each in responses}
    assert policies == {'"/api";q=3;w=60'}
    assert [each.value("RateLimit") for each in responses] == [
        '"/api";r=2;t=20',
        '"/api";r=1;t=40',
        '"/api";r=0;t=60',
        '"/api";r=0;t=60',
    ]
    assert responses[3].value("Retry-After") == "20"


async def test_pages_may_read_what_is_left(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    config = config_for(upstream.port, rate_limit=RateLimit(1, 60))
    async with running_gateway(config, tmp_path) as gateway:
        for status in (200, 429):
            response = await ask(gateway.port, FROM_PAGE)
            assert response.status == status
            exposed = response.value("Access-Control-Expose-Headers") or ""
            assert {"RateLimit", "RateLimit-Policy", "Retry-After"} < set(
                exposed.split(", ")
            )


async def test_a_route_without_a_limit_says_nothing(gateway: RunningGateway) -> None:
    response = await ask(gateway.port, FROM_PAGE)
    assert response.value("RateLimit") is None
    assert "RateLimit" not in (response.value("Access-Control-Expose-Headers") or "")


async def test_limits_are_off_where_the_operator_says_so_and_that_is_said_loudly(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    limit = "rate_limit = { requests = 1, seconds = 60 }\n"
    async with gateway_process(
        tmp_path, upstream.port, more_config=limit, GATEWAY_RATE_LIMITS="off"
    ) as gateway:
        for _ in range(3):
            response = await ask(gateway.port, GET)
            assert (response.status, response.value("RateLimit")) == (200, None)
        internal = f"http://127.0.0.1:{gateway.internal_port}"
        async with aiohttp.ClientSession() as client:
            async with client.get(f"{internal}/status") as answer:
                assert (await answer.json())["rate_limits"]["store"] == "off"
            async with client.get(f"{internal}/readyz") as answer:
                assert "GATEWAY_RATE_LIMITS=off" in await answer.text()
    lines = map(json.loads, gateway.events().splitlines())
    (line,) = (line for line in lines if line["event"] == "rate_limits_off")
    assert line["level"] == "WARNING"


async def test_limits_are_on_by_default(upstream: RawUpstream, tmp_path: Path) -> None:
    limit = "rate_limit = { requests = 1, seconds = 60 }\n"
    async with gateway_process(tmp_path, upstream.port, more_config=limit) as gateway:
        assert [(await ask(gateway.port, GET)).status for _ in range(2)] == [200, 429]
    assert "rate_limits_off" not in gateway.events()


async def test_an_office_behind_one_address_does_not_meet_the_shipped_limits() -> None:
    """500 people sign in within five minutes, 100 of them at the same moment."""
    config = await asyncio.to_thread(read_config, SHIPPED, {})
    routes = {route.prefix: route for route in config.routes}
    limit = routes["/api/auth"].rate_limit
    assert limit is not None
    now = 1000.0
    limits = RateLimits("memory", now=lambda: now)
    requests_each = 4
    waits = [
        (await limits.count("/api/auth", limit, "192.0.2.1")).wait
        for _ in range(100 * requests_each)
    ]
    for _ in range(400 * requests_each):
        now += 300 / (400 * requests_each)
        waits.append((await limits.count("/api/auth", limit, "192.0.2.1")).wait)
    assert set(waits) == {0.0}


def test_every_route_below_api_auth_is_limited_as_shipped() -> None:
    routes = read_config(SHIPPED, {}).routes
    assert all(r.rate_limit for r in routes if r.prefix.startswith("/api/auth"))
