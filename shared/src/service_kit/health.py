"""What a process says of itself, on a port of its own."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from service_kit.logs import LogMetrics
from service_kit.middleware import request_middleware
from service_kit.problems import common, problem_response

Check = Callable[[], Awaitable[str | None]]
"""Returns None when all is well, else the reason why not, in a few words."""

_CHECK_SECONDS: Final = 2
"""A check that takes longer has failed."""


class Readiness:
    """Whether this process should be sent requests."""

    def __init__(self, checks: Mapping[str, Check] | None = None) -> None:
        self.checks: dict[str, Check] = dict(checks or {})
        self.warnings: dict[str, Check] = {}
        """What the operator should mend though requests may come."""
        self.draining = False

    async def faults(self) -> dict[str, str]:
        """Return what stands against sending requests, by the check's name."""
        if self.draining:
            return {"process": "draining"}
        return await _reasons(self.checks)

    async def warned(self) -> dict[str, str]:
        """Return what to mend though it does not stand against sending requests."""
        return await _reasons(self.warnings)


async def _reasons(checks: Mapping[str, Check]) -> dict[str, str]:
    found = await asyncio.gather(*map(_bounded, checks.values()))
    return {
        name: reason
        for name, reason in zip(checks, found, strict=True)
        if reason is not None
    }


async def _bounded(check: Check) -> str | None:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            return await check()
    except TimeoutError:
        return "no answer in time"


def create_internal_app(
    readiness: Readiness,
    registry: CollectorRegistry,
    status: Callable[[], Mapping[str, object]] = dict,
) -> web.Application:
    """Return the application of the internal port.

    ``/livez`` is 200 as long as the event loop runs: it asks nobody. ``/readyz``
    is 503 with the reasons while requests should go elsewhere, else 200 with a line
    for each warning. ``/metrics`` is Prometheus text. ``/status`` is whatever
    ``status`` returns, as JSON.
    """

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
        return web.Response(
            body=generate_latest(registry),
            headers={"Content-Type": CONTENT_TYPE_LATEST},
        )

    async def show_status(_: web.Request) -> web.Response:
        return web.Response(
            text=json.dumps(status(), indent=1) + "\n", content_type="application/json"
        )

    registry.register(LogMetrics())
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
