"""Spans of a service's requests, and what they cost where nobody wants them."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from tests.support.ports import free_ports

from service_kit.observability.tracing import collector_url, trace_requests
from service_kit.requests.middleware import request_middleware

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SENT = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
UNSAMPLED = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-00"}


def application(collector: str | None) -> web.Application:
    async def handler(request: web.Request) -> web.Response:
        if request.match_info["name"] == "broken":
            raise RuntimeError
        return web.Response()

    app = web.Application(middlewares=[request_middleware({})])
    app.router.add_get("/things/{name}", handler)
    trace_requests(app, "example", collector)
    return app


@asynccontextmanager
async def collecting() -> AsyncIterator[tuple[str, list[ExportTraceServiceRequest]]]:
    """Run a collector; yield its address and what it got."""
    got: list[ExportTraceServiceRequest] = []

    async def take(request: web.Request) -> web.Response:
        got.append(ExportTraceServiceRequest.FromString(await request.read()))
        return web.Response()

    app = web.Application()
    app.router.add_post("/v1/traces", take)
    async with TestServer(app) as server:
        yield f"http://127.0.0.1:{server.port}", got


def test_without_a_collector_a_request_takes_no_step_more() -> None:
    assert len(application(None).middlewares) == 1


def test_without_a_collector_nothing_of_opentelemetry_is_imported() -> None:
    code = (
        "import sys, gateway_service.app, content_service.app, identity_service.app\n"
        "sys.exit('opentelemetry' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@asynccontextmanager
async def serving(
    collector: str,
) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    # OpenTelemetry looks at its host when it is set up: not on the event loop.
    app = await asyncio.to_thread(application, collector)
    async with TestClient(TestServer(app)) as client:
        yield client


async def test_a_recorded_trace_goes_on_and_others_leave_nothing() -> None:
    async with collecting() as (url, got), serving(url) as client:
        for headers in (SENT, UNSAMPLED, {}, {"traceparent": "malformed"}):
            await client.get("/things/one", headers=headers)
        await client.get("/things/broken", headers=SENT)
        await client.close()

    spans = [
        span
        for each in got
        for resource in each.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert [span.name for span in spans] == ["GET /things/{name}"] * 2
    assert {span.trace_id.hex() for span in spans} == {TRACE}
    assert {span.parent_span_id.hex() for span in spans} == {"00f067aa0ba902b7"}
    assert [span.status.code for span in spans] == [0, 2]


async def test_spans_go_through_no_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [port] = free_ports(1)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
    async with collecting() as (url, got), serving(url) as client:
        await client.get("/things/one", headers=SENT)
        await client.close()

    assert len(got) == 1


async def test_a_collector_that_is_away_costs_no_request() -> None:
    [port] = free_ports(1)
    async with serving(f"http://127.0.0.1:{port}") as client:
        async with asyncio.timeout(2):
            response = await client.get("/things/one", headers=SENT)

    assert response.status == 200


@pytest.mark.parametrize(
    "url",
    [
        *("", "collector:4318", "http://user:secret@collector"),
        *("http://collector:4318/v1/traces", "http://collector:4318/v1/traces/"),
    ],
)
def test_what_is_no_url_of_a_collector_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        collector_url(url)
