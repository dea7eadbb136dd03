"""Send spans to an OpenTelemetry collector; its packages are the extra ``otel``.

Nothing of OpenTelemetry is imported unless a collector is named. Spans wait in a
bounded queue for a thread that sends them; what does not fit is lost.
"""

import asyncio
import importlib.util
import os
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from service_kit.observability.process import VERSION
from service_kit.observability.trace_context import (
    HEADER,
    SPAN_ID_LENGTH,
    TraceParent,
    parse_traceparent,
)
from service_kit.settings import http_url

_NANOSECONDS: Final = 1_000_000_000
_SERVER_ERRORS: Final = 500
_SEND_SECONDS: Final = 5
"""How long one batch is tried; a collector that is away costs its spans."""

_PATH: Final = "/v1/traces"
"""Where a collector takes spans (OTLP/HTTP)."""


def collector_url(value: str) -> str:
    """Accept the URL of a collector, if what sends spans is installed."""
    if not _is_installed():
        raise ValueError("needs the extra otel: see docs/operations.md, Traces")
    url = http_url(value).rstrip("/")
    if url.endswith(_PATH):
        raise ValueError(f"is the URL of the collector, without {_PATH}")
    return url


def _is_installed() -> bool:
    try:
        return importlib.util.find_spec("opentelemetry.exporter.otlp.proto") is not None
    except ModuleNotFoundError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSpan:
    """One request that a service responded to."""

    trace_id: str
    span_id: str
    parent_id: str | None
    method: str
    route: str
    """As the code or the configuration has it, so that there are not too many."""
    status: int
    seconds: float
    """It ended just now."""
    attributes: Mapping[str, str | int | float] = field(default_factory=dict)


class SpanSender:
    """Sends spans by OTLP over HTTP, in batches."""

    def __init__(self, service: str, collector: str) -> None:
        # Imported only where it is configured: see the module's docstring.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from requests import Session  # noqa: PLC0415

        session = Session()
        session.trust_env = False  # no proxy: the services use none
        exporter = OTLPSpanExporter(
            f"{collector}{_PATH}", timeout=_SEND_SECONDS, session=session
        )
        self._processor = BatchSpanProcessor(exporter)
        self._resource = Resource.create(
            {
                "service.namespace": "gatehouse",
                "service.name": service,
                "service.version": VERSION,
                "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
            }
        )

    def send(self, span: ServerSpan) -> None:
        """Have a span sent, now or a little later."""
        from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415
        from opentelemetry.trace import SpanKind, Status, StatusCode  # noqa: PLC0415

        ended_at = time.time_ns()
        failed = span.status >= _SERVER_ERRORS
        self._processor.on_end(
            ReadableSpan(
                name=f"{span.method} {span.route}",
                context=_context(span.trace_id, span.span_id),
                parent=(
                    None
                    if span.parent_id is None
                    else _context(span.trace_id, span.parent_id)
                ),
                resource=self._resource,
                attributes={  # as OpenTelemetry's conventions for HTTP name them
                    "http.request.method": span.method,
                    "http.route": span.route,
                    "http.response.status_code": span.status,
                    **span.attributes,
                },
                kind=SpanKind.SERVER,
                status=Status(StatusCode.ERROR if failed else StatusCode.UNSET),
                start_time=ended_at - int(span.seconds * _NANOSECONDS),
                end_time=ended_at,
            )
        )

    async def close(self) -> None:
        """Send what waits, if the collector takes it in the time for one batch."""
        closing = threading.Thread(target=self._processor.shutdown, daemon=True)
        closing.start()
        await asyncio.to_thread(closing.join, _SEND_SECONDS)


def trace_requests(app: web.Application, service: str, collector: str | None) -> None:
    """Have the requests of an application recorded whose sender records them too."""
    if collector is None:
        return
    sender = SpanSender(service, collector)

    async def close(_: web.Application) -> None:
        await sender.close()

    app.middlewares.insert(0, _tracing_middleware(sender))
    app.on_cleanup.append(close)


def _tracing_middleware(sender: SpanSender) -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        parent = parse_traceparent(request.headers.get(HEADER, ""))
        if parent is None or not parent.is_sampled:
            return await handler(request)
        started_at = time.monotonic()
        response = await handler(request)
        sender.send(_span(request, response, parent, time.monotonic() - started_at))
        return response

    return middleware


def _span(
    request: web.Request,
    response: web.StreamResponse,
    parent: TraceParent,
    seconds: float,
) -> ServerSpan:
    resource = request.match_info.route.resource
    return ServerSpan(
        trace_id=parent.trace_id,
        span_id=os.urandom(SPAN_ID_LENGTH // 2).hex(),
        parent_id=parent.span_id,
        method=request.method,
        route="none" if resource is None else resource.canonical,
        status=response.status,
        seconds=seconds,
    )


def _context(trace_id: str, span_id: str) -> Any:  # noqa: ANN401 - of an optional package
    from opentelemetry.trace import SpanContext, TraceFlags  # noqa: PLC0415

    return SpanContext(
        int(trace_id, 16),
        int(span_id, 16),
        is_remote=False,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
