"""The middleware of every request; it is one, for speed."""

import time
from collections.abc import Callable
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware
from multidict import CIMultiDict, CIMultiDictProxy

from service_kit.health import Readiness
from service_kit.languages.accepting import language_of, preferred_language
from service_kit.observability.metrics import RequestMetrics
from service_kit.observability.request_id import HEADER, name_request
from service_kit.observability.trace_context import HEADER as TRACEPARENT
from service_kit.observability.trace_context import traceparent
from service_kit.problems import (
    SECURITY_HEADERS,
    Problem,
    ProblemError,
    ProblemTable,
    common,
    problem_mapper,
    problem_response,
)

CLIENT_GONE: Final = 499
"""Counted in place of a status when the client left before its response."""

_MAJOR_VERSION: Final = 1
"""Of HTTP; aiohttp itself takes requests of any."""

_SERVER: Final = "gatehouse"
"""Names no version; aiohttp's own would."""

_COMMON_HEADERS: Final = CIMultiDictProxy(
    CIMultiDict({hdrs.SERVER: _SERVER, **SECURITY_HEADERS})
)
"""On every response whose handler has not set them."""


def request_middleware(
    problems: ProblemTable,
    metrics: RequestMetrics | None = None,
    readiness: Readiness | None = None,
    *,
    is_from_gateway: Callable[[web.BaseRequest], bool] = lambda _: True,
    public_url: str = "",
) -> Middleware:
    """Return a middleware that names, counts and times requests and maps errors.

    An exception becomes the problem that ``problems`` has for it. Each response gets
    the request id and the security headers, and closes its connection while
    ``readiness`` is draining. The request id is the gateway's, if the request
    ``is_from_gateway``; what another client sends as such is its own. ``public_url``
    leads to the pages of problems.
    """
    problem_for = problem_mapper(problems)
    metrics = metrics or RequestMetrics("uncollected")
    readiness = readiness or Readiness()
    monotonic = time.monotonic

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        started_at = monotonic()
        sent = request.headers
        name = name_request(sent.get(HEADER), from_gateway=is_from_gateway(request))
        # Its context is its own and has the defaults, which need not be set.
        if accepted := sent.getall(hdrs.ACCEPT_LANGUAGE, ()):
            preferred_language.set(language_of(accepted))
        if field := sent.get(TRACEPARENT):
            traceparent.set(field)
        if request.version.major != _MAJOR_VERSION:
            handler = _refuse_version
        problem: Problem | None = None
        try:
            response = await handler(request)
        except (web.HTTPSuccessful, web.HTTPRedirection) as error:
            response = web.Response(
                status=error.status, headers=error.headers, body=error.body
            )
        except Exception as error:  # noqa: BLE001 - the last resort: nothing may pass
            problem = problem_for(error)
            response = problem_response(problem, public_url=public_url)
        headers = response.headers
        headers[HEADER] = name
        headers.merge(_COMMON_HEADERS)
        if readiness.draining:
            response.force_close()
        status = CLIENT_GONE if request.transport is None else response.status
        resource = request.match_info.route.resource
        if resource is None:
            method, route = "other", "none"
        else:
            method, route = request.method, resource.canonical
        metrics.count((method, route, status), monotonic() - started_at)
        if problem is not None:
            metrics.count_problem(route, problem.code)
        return response

    return middleware


async def _refuse_version(_: web.Request) -> web.StreamResponse:
    raise ProblemError(common.HTTP_VERSION_NOT_SUPPORTED)
