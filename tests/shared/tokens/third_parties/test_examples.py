"""The examples of docs/examples work as they stand."""

import asyncio
import socket

import pytest
import uvicorn
from aiohttp import ClientSession, web
from docs.examples import aiohttp_service, fastapi_service, plain_asyncio
from tests.support.issuer import Issuer
from tests.support.tokens import LISTS, mint

from service_kit.tokens import InvalidTokenError


def token_of(issuer: Issuer, idx: int = 0) -> str:
    """Return a token whose issuer is the small issuer's own address."""
    lists = f"{issuer.url}/api/auth/statuslists/"
    issuer.list_changes = {"sub": f"{lists}1"}
    assert lists != LISTS
    status = {"status_list": {"idx": idx, "uri": f"{lists}1"}}
    return mint(claims={"iss": issuer.url, "status": status})


async def test_plain_asyncio() -> None:
    async with Issuer() as issuer:
        issuer.revoke(1)

        claims = await plain_asyncio.verify_once(issuer.url, token_of(issuer))
        assert claims.subject == "42"
        with pytest.raises(InvalidTokenError, match="revoked"):
            await plain_asyncio.verify_once(issuer.url, token_of(issuer, 1))


async def test_aiohttp() -> None:
    async with Issuer() as issuer, ClientSession() as http:
        runner = web.AppRunner(aiohttp_service.create_app(issuer.url))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/hello"
        await check(issuer, http, url, "Hello, 42.")
        await runner.cleanup()


async def test_fastapi() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    async with Issuer() as issuer, ClientSession() as http:
        app = fastapi_service.create_app(issuer.url)
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/hello"
        await check(issuer, http, url, '"Hello, 42."')
        server.should_exit = True
        await serving


async def check(issuer: Issuer, http: ClientSession, url: str, greeting: str) -> None:
    """Call with a good, a revoked and no token."""
    issuer.revoke(1)
    for token, status in ((token_of(issuer), 200), (token_of(issuer, 1), 401)):
        headers = {"Authorization": f"Bearer {token}"}
        async with http.get(url, headers=headers) as answer:
            assert answer.status == status
            if status == 200:
                assert await answer.text() == greeting
    async with http.get(url) as answer:
        assert answer.status in {401, 403}
