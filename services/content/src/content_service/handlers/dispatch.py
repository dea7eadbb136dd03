"""Every request: find its resource, answer or tell the problem, count it."""

import time
from collections.abc import Mapping
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from content_service.handlers.ready_response import ReadyResponse
from service_kit.errors import (
    ProblemTable,
    add_common_headers,
    problem_response,
    problem_teller,
)
from service_kit.health import Readiness
from service_kit.metrics import RequestMetrics
from service_kit.request_id import HEADER, accepted_request_id, request_id

_METHODS: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})


def dispatch(
    handlers: Mapping[str, Handler],
    problems: ProblemTable,
    metrics: RequestMetrics,
    readiness: Readiness,
) -> Handler:
    """Return the handler of all requests, by path; resources can only be read."""
    tell = problem_teller(problems)
    monotonic = time.monotonic

    async def handler(request: web.Request) -> web.StreamResponse:
        began_at = monotonic()
        # Never reset: aiohttp runs each request in a context of its own.
        request_id.set(accepted_request_id(request.headers.get(HEADER)))
        path, method = request.path, request.method
        found = handlers.get(path)
        if found is None:
            path, method, found = "none", "other", _unknown
        elif method not in _METHODS:
            method, found = "other", _refused
        try:
            answer = await found(request)
        except Exception as error:  # noqa: BLE001 - the last resort: nothing may pass
            answer = problem_response(tell(error))
        if not isinstance(answer, ReadyResponse):
            add_common_headers(answer)
        if readiness.draining:
            answer.force_close()
        metrics.count(method, path, answer.status, monotonic() - began_at)
        return answer

    return handler


async def _unknown(_: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound


async def _refused(request: web.Request) -> web.StreamResponse:
    raise web.HTTPMethodNotAllowed(request.method, sorted(_METHODS))
