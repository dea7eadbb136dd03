"""Every request: find its resource, answer or tell the problem, count it."""

import time
from collections.abc import Mapping
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from service_kit.errors import ProblemTable, problem_middleware
from service_kit.health import Readiness
from service_kit.metrics import RequestMetrics

_METHODS: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})


def dispatch(
    handlers: Mapping[str, Handler],
    problems: ProblemTable,
    metrics: RequestMetrics,
    readiness: Readiness,
) -> Handler:
    """Return the handler of all requests, by path; resources can only be read."""
    guarded = problem_middleware(problems)
    monotonic = time.monotonic

    async def handler(request: web.Request) -> web.StreamResponse:
        began_at = monotonic()
        path, method = request.path, request.method
        found = handlers.get(path)
        if found is None:
            path, method, found = "none", "other", _unknown
        elif method not in _METHODS:
            method, found = "other", _refused
        answer = await guarded(request, found)
        if readiness.draining:
            answer.force_close()
        metrics.count(method, path, answer.status, monotonic() - began_at)
        return answer

    return handler


async def _unknown(_: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound


async def _refused(request: web.Request) -> web.StreamResponse:
    raise web.HTTPMethodNotAllowed(request.method, sorted(_METHODS))
