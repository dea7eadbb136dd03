"""Hostile tokens, through the running service."""

import time
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web
from tests.support.content import Content
from tests.support.hostile_tokens import HOSTILE_TOKENS
from tests.support.issuer import Issuer
from tests.support.tokens import mint, public_half

LONGEST_SECONDS = 2.5
"""A second, and what a busy machine adds."""

NOT_FOR_A_HEADER = "\r\n\0"


@pytest.fixture
async def canary() -> AsyncIterator[tuple[str, list[str]]]:
    """A server that nobody should ask for anything."""
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    await runner.cleanup()


async def test_t12_every_hostile_token_gets_a_4xx_at_once(service: Content) -> None:
    wrong: list[tuple[object, int, float]] = []
    for case in HOSTILE_TOKENS:
        make: Callable[[], str] = case.values[0]  # type: ignore[assignment]
        token = make().encode("utf-8", "surrogatepass").decode("latin-1")
        if not token or set(NOT_FOR_A_HEADER) & set(token) or len(token) > 8000:
            continue
        began_at = time.perf_counter()
        answer = await service.get("/api/test/admin", token.strip() or None)
        took = time.perf_counter() - began_at
        if not 400 <= answer.status < 500 or took > LONGEST_SECONDS:
            wrong.append((case.id, answer.status, took))

    assert wrong == []


@pytest.mark.parametrize("size", [8_000, 16_000, 1_000_000])
async def test_t12_long_header_is_refused(service: Content, size: int) -> None:
    answer = await service.get(token="a" * size)

    assert 400 <= answer.status < 500


async def test_t3_addresses_in_the_header_are_never_asked(
    service: Content, canary: tuple[str, list[str]]
) -> None:
    url, asked = canary
    for name in ("jku", "x5u"):
        for kid in (public_half().kid, "unknown"):
            token = mint(key="evil", header={name: f"{url}/{name}", "kid": kid})
            assert (await service.get(token=token)).status == 401

    assert asked == []


@pytest.mark.parametrize(
    "roles", ["admin", {"admin": True}, True, ["ADMIN"], ["admin "]]
)
async def test_t13_odd_roles_open_nothing(
    issuer: Issuer, service: Content, roles: object
) -> None:
    answer = await service.get("/api/test/admin", issuer.mint(roles=roles))

    assert answer.status in {401, 403}


async def test_s7_status_list_is_no_access_token(
    issuer: Issuer, service: Content
) -> None:
    assert (await service.get(token=issuer.list_token())).status == 401


@pytest.mark.parametrize(
    "uri",
    [
        "http://169.254.169.254/latest",
        "https://evil.example/api/auth/statuslists/1",
        "https://id.example/api/auth/statuslists/../../../x",
    ],
)
async def test_s3_foreign_status_uri_is_refused(
    issuer: Issuer, service: Content, uri: str
) -> None:
    status = {"status_list": {"idx": 0, "uri": uri}}

    assert (await service.get(token=issuer.mint(status=status))).status == 401
