"""One trace over three services, as an OpenTelemetry collector gets it."""

import json
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from tests.support.stack import Stack

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"


class Collector(ThreadingHTTPServer):
    """Takes spans by OTLP over HTTP, and keeps them by service."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.spans: list[tuple[str, Span]] = []

    def take(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            names = {each.key: each.value for each in resource.resource.attributes}
            service = names["service.name"].string_value
            for scope in resource.scope_spans:
                self.spans += [(service, span) for span in scope.spans]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert isinstance(self.server, Collector)
        if self.path == "/v1/traces":
            self.server.take(body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(stack: Stack, path: str, body: object = None, **headers: str) -> Any:  # noqa: ANN401 - parsed JSON
    request = urllib.request.Request(
        stack.base_url + path,
        None if body is None else json.dumps(body).encode(),
        {
            "traceparent": f"00-{TRACE}-{CALLER}-00",
            "Content-Type": "application/json",
            **headers,
        },
    )
    with urllib.request.urlopen(request, timeout=20) as response:
        text = response.read().decode()
    return json.loads(text) if text.startswith("{") else text


def test_one_trace_leads_through_all_services(
    tmp_path: Path, collector: Collector
) -> None:
    url = f"http://127.0.0.1:{collector.server_port}"
    services = ("GATEWAY", "IDENTITY", "CONTENT")
    settings = {f"{each}_OTLP_ENDPOINT": url for each in services}
    with Stack(tmp_path, settings) as stack:
        credentials = {
            "username": stack.admin_name,
            "password": stack.admin_password,
        }
        token = ask(stack, "/api/auth/signin", credentials)["accessToken"]
        ask(stack, "/api/test/admin", Authorization=f"Bearer {token}")

    found = [each for each in collector.spans if each[1].trace_id.hex() == TRACE]
    by_id = {span.span_id.hex(): (service, span) for service, span in found}
    paths = {
        (by_id[span.parent_span_id.hex()][0], service, span.name)
        for service, span in found
        if span.parent_span_id.hex() in by_id
    }
    assert paths == {
        ("gateway", "identity", "POST /api/auth/signin"),
        ("gateway", "content", "GET /api/test/admin"),
    }
    first = [span for _, span in found if span.parent_span_id.hex() == CALLER]
    assert len(first) == 2
    for span in first:
        assert span.end_time_unix_nano > span.start_time_unix_nano
    logged = [each["trace_id"] for each in stack.entries("gateway")]
    assert logged.count(TRACE) == 2
