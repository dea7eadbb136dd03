"""What a process says of itself, on a port of its own."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from service_kit.problems import Problem, problem_middleware, problem_response

Check = Callable[[], Awaitable[str | None]]
"""Returns None when all is well, else the reason why not, in a few words."""

_CHECK_SECONDS: Final = 2
"""A check that takes longer has failed."""


class Readiness:
    """Whether this process should be sent requests."""

    def __init__(self, checks: Mapping[str, Check] | None = None) -> None:
        self.checks: dict[str, Check] = dict(checks or {})
        self.draining = False

    async def faults(self) -> dict[str, str]:
        """Return what stands against sending requests, by the check's name."""
        if self.draining:
            return {"process": "draining"}
        answers = await asyncio.gather(*map(_bounded, self.checks.values()))
        return {
            name: fault
            for name, fault in zip(self.checks, answers, strict=True)
            if fault is not None
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
    is 503 with the reasons while requests should go elsewhere. ``/metrics`` is
    Prometheus text. ``/status`` is whatever ``status`` returns, as JSON.
    """

    async def livez(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        faults = await readiness.faults()
        if not faults:
            return web.Response(text="ok\n")
        return problem_response(
            Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "not_ready",
                "Not ready.",
                members={"faults": faults},
            )
        )

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(registry),
            headers={"Content-Type": CONTENT_TYPE_LATEST},
        )

    async def show_status(_: web.Request) -> web.Response:
        return web.Response(
            text=json.dumps(status(), indent=1) + "\n", content_type="application/json"
        )

    app = web.Application(middlewares=[problem_middleware({})])
    app.add_routes(
        [
            web.get("/livez", livez),
            web.get("/readyz", readyz),
            web.get("/metrics", metrics),
            web.get("/status", show_status),
        ]
    )
    return app
