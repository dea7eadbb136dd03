"""What a document's server says besides the document."""

import asyncio
import time
from datetime import timedelta

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from service_kit.tokens.fetching import fetch

HELD_SECONDS = 2


async def test_a_slow_body_puts_no_clock_ahead() -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.sleep(HELD_SECONDS)
        return response

    app = web.Application()
    app.router.add_get("/", drip)
    async with TestServer(app) as server, ClientSession() as session:
        found = await fetch(session, str(server.make_url("/")), max_bytes=1)

    assert found.clock_ahead is not None
    assert found.clock_ahead < timedelta(seconds=HELD_SECONDS)


async def test_a_date_of_an_unknown_zone_is_in_utc(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """RFC 5322 has `-0000` say that the zone of the host is not known."""

    async def dated(_: web.Request) -> web.Response:
        now = time.strftime("%a, %d %b %Y %H:%M:%S -0000", time.gmtime())
        return web.Response(headers={"Date": now})

    app = web.Application()
    app.router.add_get("/", dated)
    with monkeypatch.context() as there:
        there.setenv("TZ", "Asia/Kolkata")
        time.tzset()
        async with TestServer(app) as server, ClientSession() as session:
            found = await fetch(session, str(server.make_url("/")), max_bytes=1)
    time.tzset()

    assert found.clock_ahead is not None
    assert abs(found.clock_ahead) < timedelta(minutes=1)
