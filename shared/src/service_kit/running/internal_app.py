"""The internal port: health, metrics and status."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from service_kit.health import Readiness
from service_kit.observability.logs import log_metrics
from service_kit.observability.metrics import Collected
from service_kit.observability.process import ProcessState
from service_kit.problems import common, problem_response
from service_kit.requests.middleware import request_middleware

Status = Callable[[], Awaitable[Mapping[str, object]]]
"""Returns the state of a service, without secrets, as JSON can hold it."""


async def no_status() -> Mapping[str, object]:
    """Return the state of a service that has none of its own."""
    return {}


def create_internal_app(
    service: str,
    readiness: Readiness,
    registry: CollectorRegistry,
    status: Status = no_status,
) -> web.Application:
    """Return the application of the internal port.

    ``/livez`` is 200 as long as the event loop runs. ``/readyz``
    is 503 with the reasons while requests should go elsewhere, else 200 with a line
    for each warning. ``/metrics`` is Prometheus text. ``/status`` is the state of the
    process and the result of ``status``, as JSON.
    """
    process = ProcessState(service)

    async def livez(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        faults = await readiness.faults()
        if not faults:
            warned = await readiness.warned()
            lines = ("ok", *(f"{name}: {text}" for name, text in warned.items()))
            return web.Response(text="".join(f"{line}\n" for line in lines))
        return problem_response(replace(common.NOT_READY, members={"faults": faults}))

    async def metrics(_: web.Request) -> web.Response:
        # Read from files: not on the event loop, where all else is counted.
        of_process = await asyncio.to_thread(generate_latest, process.registry)
        return web.Response(
            body=of_process + generate_latest(registry),
            headers={"Content-Type": CONTENT_TYPE_LATEST},
        )

    async def show_status(_: web.Request) -> web.Response:
        state = {
            **process.report(),
            "faults": await readiness.faults(),
            "warnings": await readiness.warned(),
            **await status(),
        }
        return web.Response(
            text=json.dumps(state, indent=1) + "\n", content_type="application/json"
        )

    registry.register(Collected(log_metrics))
    app = web.Application(middlewares=[request_middleware({})])
    app.add_routes(
        [
            web.get("/livez", livez),
            web.get("/readyz", readyz),
            web.get("/metrics", metrics),
            web.get("/status", show_status),
        ]
    )
    return app
