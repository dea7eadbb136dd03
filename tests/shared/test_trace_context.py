"""The trace that the request being served is part of."""

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from service_kit.languages.accepting import preferred_language
from service_kit.observability.request_id import client_request_id
from service_kit.observability.trace_context import current_trace_id, traceparent
from service_kit.requests.middleware import request_middleware

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


async def named_trace(**headers: str) -> tuple[str, str]:
    """Return the trace that a line of the request's log would name, and its id."""

    async def handler(_: web.Request) -> web.Response:
        return web.Response(text=current_trace_id())

    app = web.Application(middlewares=[request_middleware({})])
    app.router.add_get("/", handler)
    async with TestClient(TestServer(app)) as client:
        response = await client.get("/", headers=headers)
        return await response.text(), response.headers["X-Request-Id"]


async def test_a_request_that_came_with_a_trace_names_it() -> None:
    trace, request = await named_trace(traceparent=PARENT)

    assert trace == TRACE
    assert request != TRACE


@pytest.mark.parametrize("headers", [{}, {"traceparent": "00-malformed"}])
async def test_another_request_begins_a_trace_of_its_own(
    headers: dict[str, str],
) -> None:
    trace, request = await named_trace(**headers)

    assert trace == request


async def test_a_request_id_that_is_no_trace_names_none() -> None:
    trace, _ = await named_trace(**{"X-Request-Id": "of-an-old-gateway"})

    assert trace == "-"


async def test_nothing_of_a_request_is_left_to_the_next_of_its_connection() -> None:
    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        _, port = request.transport.get_extra_info("peername")
        named = preferred_language, traceparent, client_request_id
        return web.json_response([port, *(each.get() for each in named)])

    middleware = request_middleware({}, is_from_gateway=lambda _: False)
    app = web.Application(middlewares=[middleware])
    app.router.add_get("/", handler)
    sent = {"Accept-Language": "de", "traceparent": PARENT, "X-Request-Id": "mine"}
    async with TestClient(TestServer(app)) as client:
        port, *first = await (await client.get("/", headers=sent)).json()
        then = await (await client.get("/")).json()

    assert first == ["de", PARENT, "mine"]
    assert then == [port, "en", None, None]


def test_outside_of_requests_there_is_no_trace() -> None:
    assert current_trace_id() == "-"
