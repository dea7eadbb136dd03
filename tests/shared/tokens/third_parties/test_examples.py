"""The examples of docs/examples work as they stand."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
import uvicorn
from aiohttp import ClientError, ClientSession, web
from docs.examples import aiohttp_service, fastapi_service, plain_asyncio
from multidict import CIMultiDict
from tests.support.issuer import Issuer
from tests.support.node import installed
from tests.support.ports import free_ports
from tests.support.tokens import OMIT, mint

from service_kit.tokens import InvalidTokenError, Status, StatusList

EXPRESS: Final = Path(__file__).parents[4] / "docs" / "examples" / "node"
PUBLIC: Final = "http://id.example"
"""The issuer's name, which nothing here resolves: it is reached by another address."""


def token_of(issuer: Issuer, idx: int = 0) -> str:
    """Return a token whose issuer has the public name."""
    lists = f"{PUBLIC}/api/auth/statuslists/"
    issuer.list_changes = {"sub": f"{lists}1"}
    status = {"status_list": {"idx": idx, "uri": f"{lists}1"}}
    return mint(claims={"iss": PUBLIC, "status": status})


@asynccontextmanager
async def in_aiohttp(issuer: Issuer) -> AsyncIterator[str]:
    runner = web.AppRunner(aiohttp_service.create_app(PUBLIC, issuer.url))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@asynccontextmanager
async def in_fastapi(issuer: Issuer) -> AsyncIterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    app = fastapi_service.create_app(PUBLIC, issuer.url)
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    await serving


@asynccontextmanager
async def in_express(issuer: Issuer) -> AsyncIterator[str]:
    folder = await asyncio.to_thread(installed, EXPRESS)
    (port,) = free_ports(1)
    process = await asyncio.create_subprocess_exec(
        *("node", "server.mjs"),
        cwd=folder,
        env={"ISSUER": PUBLIC, "IDENTITY": issuer.url, "PORT": str(port)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        assert b"listening" in await process.stdout.readline()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.communicate()


SERVICES: Final = {"aiohttp": in_aiohttp, "FastAPI": in_fastapi, "Express": in_express}


@pytest.fixture(params=SERVICES)
async def url(request: pytest.FixtureRequest, issuer: Issuer) -> AsyncIterator[str]:
    async with SERVICES[request.param](issuer) as url:
        yield f"{url}/api/hello"


@pytest.fixture
async def http() -> AsyncIterator[ClientSession]:
    async with ClientSession() as http:
        yield http


async def test_plain_asyncio() -> None:
    async with Issuer() as issuer:
        issuer.revoke(1)

        claims = await plain_asyncio.verify_once(
            PUBLIC, token_of(issuer), identity=issuer.url
        )
        assert claims.subject == "42"
        with pytest.raises(InvalidTokenError, match="revoked"):
            await plain_asyncio.verify_once(
                PUBLIC, token_of(issuer, 1), identity=issuer.url
            )


async def test_a_problem_of_the_kit_leads_to_its_page(
    issuer: Issuer, http: ClientSession
) -> None:
    async with in_aiohttp(issuer) as url, http.get(f"{url}/api/hello") as refused:
        assert (await refused.json())["type"] == f"{PUBLIC}/problems/missing_token"


async def test_a_token_is_found_wherever_it_may_be(
    url: str, issuer: Issuer, http: ClientSession
) -> None:
    token = token_of(issuer)
    for headers in (
        {"Authorization": f"Bearer {token}"},
        {"x-access-token": token},
        {"Cookie": f"a=b; access_token={token}"},
        {"Authorization": f"Bearer {token}", "x-access-token": token},
    ):
        async with http.get(url, headers=headers) as response:
            assert response.status == 200, headers.keys()
            assert await response.json() == {"caller": "42"}


async def test_of_several_cookies_the_right_one_counts(
    url: str, issuer: Issuer, http: ClientSession
) -> None:
    others = [f"access_token={n}" for n in range(8)]
    good = f"access_token={token_of(issuer)}"
    for cookies, status in (
        (["access_token=", *others[1:], good], 200),
        ([*others, good], 401),
    ):
        headers = {"Cookie": "; ".join(cookies)}
        assert await status_of(http, url, headers) == status, len(cookies)


async def test_a_header_that_is_repeated_is_refused(
    url: str, issuer: Issuer, http: ClientSession
) -> None:
    token = token_of(issuer)
    for header in (("x-access-token", token), ("Authorization", f"Bearer {token}")):
        async with http.get(url, headers=CIMultiDict([header, header])) as response:
            assert response.status == 400, header[0]


async def test_what_is_no_valid_token_is_refused(
    url: str, issuer: Issuer, http: ClientSession
) -> None:
    good, revoked = token_of(issuer), token_of(issuer, 1)
    issuer.revoke(1)
    elsewhere = {"status_list": {"idx": 0, "uri": f"{issuer.url}/api/elsewhere/1"}}
    expected = {
        "": (401, "Bearer"),
        revoked: (401, 'Bearer error="invalid_token"'),
        f"{good[:-8]}AAAAAAAA": (401, 'Bearer error="invalid_token"'),
        mint(claims={"iss": PUBLIC, "exp": 1}): (401, 'Bearer error="invalid_token"'),
        mint(claims={"iss": PUBLIC, "status": elsewhere}): (
            401,
            'Bearer error="invalid_token"',
        ),
    }
    for token, outcome in expected.items():
        async with http.get(url, headers={"x-access-token": token}) as response:
            challenge = response.headers["WWW-Authenticate"]
            assert (response.status, challenge) == outcome
    both = {"x-access-token": good, "Authorization": f"Bearer {revoked}"}
    async with http.get(url, headers=both) as response:
        assert response.status == 400


@pytest.mark.parametrize(
    ("page", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": PUBLIC}, 200),
    ],
)
async def test_c7_pages_of_other_sites_change_nothing(
    url: str, issuer: Issuer, http: ClientSession, page: dict[str, str], status: int
) -> None:
    token = token_of(issuer)
    in_cookie = {"Cookie": f"access_token={token}", **page}
    async with http.post(url, headers=in_cookie) as response:
        assert response.status == status
    async with http.post(url, headers={"x-access-token": token, **page}) as response:
        assert response.status == 200


async def test_a_token_without_a_claim_that_it_has_to_have_is_refused(
    url: str, issuer: Issuer, http: ClientSession
) -> None:
    assert await status_of(http, url, {"x-access-token": token_of(issuer)}) == 200
    status = {"status_list": {"idx": 0, "uri": f"{PUBLIC}/api/auth/statuslists/1"}}
    for name in ("exp", "iat", "jti", "sub", "client_id", "roles"):
        token = mint(claims={"iss": PUBLIC, "status": status, name: OMIT})
        assert await status_of(http, url, {"x-access-token": token}) == 401, name


async def test_a_token_that_names_no_key_is_the_clients_fault(
    url: str, issuer: Issuer, http: ClientSession
) -> None:
    issuer.keys = ["first", "second"]
    token = mint(header={"kid": OMIT}, claims={"iss": PUBLIC})
    assert await status_of(http, url, {"x-access-token": token}) == 401


async def test_a_list_serves_on_while_the_issuer_hangs(
    url: str, issuer: Issuer, http: ClientSession
) -> None:
    headers = {"x-access-token": token_of(issuer)}
    assert await status_of(http, url, headers) == 200

    async def hang(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(30)
        return web.Response()

    issuer.answer_list = hang
    await asyncio.sleep(1.1)  # the list's ttl
    async with asyncio.timeout(3):
        for _ in range(4):
            assert await status_of(http, url, headers) == 200


async def test_a_list_serves_until_it_expires(
    url: str, issuer: Issuer, http: ClientSession
) -> None:
    headers = {"x-access-token": token_of(issuer)}
    issuer.ttl, issuer.list_lifetime = timedelta(seconds=60), timedelta(seconds=3)
    assert await status_of(http, url, headers) == 200

    await issuer.stop()
    await asyncio.sleep(3)
    assert await status_of(http, url, headers) == 503


async def test_an_older_list_makes_no_revoked_token_good(
    url: str, issuer: Issuer, http: ClientSession
) -> None:
    headers = {"x-access-token": token_of(issuer)}
    issuer.revoke(0)
    assert await status_of(http, url, headers) == 401

    issuer.statuses[0] = Status.VALID
    issuer.list_changes["iat"] = int(time.time()) - 100
    asked = issuer.list_requests
    async with asyncio.timeout(10):
        while issuer.list_requests < asked + 2:
            assert await status_of(http, url, headers) == 401
            await asyncio.sleep(0.1)
    assert await status_of(http, url, headers) == 401


LST: Final = StatusList.of_size(8).to_claim()["lst"]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"status_list": {"lst": LST}}, id="no-bits"),
        pytest.param({"status_list": {"bits": 3, "lst": LST}}, id="three-bits"),
        pytest.param({"ttl": "60"}, id="ttl-in-text"),
    ],
)
async def test_a_malformed_list_lets_no_token_pass(
    url: str, issuer: Issuer, http: ClientSession, changes: dict[str, object]
) -> None:
    headers = {"x-access-token": token_of(issuer)}
    issuer.list_changes |= changes
    assert await status_of(http, url, headers) == 503


async def test_while_the_issuer_is_away_a_client_may_try_again(
    url: str, issuer: Issuer, http: ClientSession
) -> None:
    headers = {"x-access-token": token_of(issuer)}
    await issuer.stop()
    async with http.get(url, headers=headers) as response:
        assert response.status == 503
        assert int(response.headers["Retry-After"]) > 0

    await issuer.start()
    async with asyncio.timeout(20):
        while await status_of(http, url, headers) != 200:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.2)


async def status_of(http: ClientSession, url: str, headers: dict[str, str]) -> int:
    try:
        async with http.get(url, headers=headers) as response:
            return response.status
    except ClientError:
        return 0
