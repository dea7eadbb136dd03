"""Send problems: their bodies, their responses, and the middleware that maps errors."""

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from multidict import istr

from service_kit.problems import common
from service_kit.problems.problem import Problem, ProblemError
from service_kit.request_id import HEADER, accepted_request_id, request_id

MEDIA_TYPE: Final = "application/problem+json"

SECURITY_HEADERS: Final[Mapping[str, str]] = {
    istr("X-Content-Type-Options"): "nosniff",
    istr("Content-Security-Policy"): "default-src 'none'; frame-ancestors 'none'",
    istr("Referrer-Policy"): "no-referrer",
    istr("Cross-Origin-Resource-Policy"): "same-site",
}
"""On every answer that is not a page for people (OWASP REST security)."""

_logger: Final = logging.getLogger(__name__)


ProblemTable = Mapping[type[Exception], Problem | Callable[[Exception], Problem]]
"""What a client is told about each expected failure."""

_OF_STATUS: Final = {
    each.status: each
    for each in (
        common.INVALID_REQUEST,
        common.NOT_FOUND,
        common.METHOD_NOT_ALLOWED,
        common.BODY_TOO_LARGE,
        common.TARGET_TOO_LONG,
        common.UNSUPPORTED_MEDIA_TYPE,
        common.EXPECTATION_FAILED,
        common.HEADER_FIELDS_TOO_LARGE,
        common.INTERNAL_ERROR,
        common.NOT_IMPLEMENTED,
        common.HTTP_VERSION_NOT_SUPPORTED,
    )
}


def problem_of_status(status: HTTPStatus) -> Problem:
    """Return the problem that a status says by itself."""
    if found := _OF_STATUS.get(status):
        return found
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return common.INTERNAL_ERROR
    return replace(common.INVALID_REQUEST, status=status)


def method_not_allowed(methods: Iterable[str]) -> Problem:
    """Return the problem for a method that is none of those that are allowed."""
    allow = {"Allow": ", ".join(sorted(methods))}
    return replace(common.METHOD_NOT_ALLOWED, headers=allow)


def problem_body(problem: Problem, instance: str) -> bytes:
    """Return the JSON text of a problem; ``instance`` is the request id."""
    members = {
        "type": "about:blank",
        "title": problem.status.phrase,
        "status": int(problem.status),
        "detail": problem.message,
        "instance": instance,
        "code": problem.code,
        "message": problem.message,
        **problem.members,
    }
    return json.dumps(members).encode()


def problem_response(problem: Problem) -> web.Response:
    """Return the answer that tells a client of a problem."""
    return web.Response(
        status=problem.status,
        body=problem_body(problem, request_id.get()),
        content_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store", **problem.headers},
    )


def problem_teller(table: ProblemTable) -> Callable[[Exception], Problem]:
    """Return what finds the problem that a client is told when a handler raises.

    An error is looked up by its class, then by its base classes. One that is not
    in the table is logged with its traceback and told as `INTERNAL_ERROR`.
    """

    def told(error: Exception) -> Problem:
        if isinstance(error, web.HTTPException):
            return _of_http_exception(error)
        if isinstance(error, ProblemError):
            return error.problem
        for each in type(error).__mro__:
            if issubclass(each, Exception) and each in table:
                entry = table[each]
                return entry if isinstance(entry, Problem) else entry(error)
        _logger.error("unexpected_error", exc_info=error)
        return common.INTERNAL_ERROR

    return told


def _add_common_headers(response: web.StreamResponse) -> None:
    """Add what stands on every answer: the request id, and security headers."""
    headers = response.headers
    headers.setdefault(HEADER, request_id.get())
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)


def problem_middleware(table: ProblemTable) -> Middleware:
    """Return the outermost middleware: request id, security headers, problems."""
    tell = problem_teller(table)

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        token = request_id.set(accepted_request_id(request.headers.get(HEADER)))
        try:
            try:
                response = await handler(request)
            except Exception as error:  # noqa: BLE001 - the last resort: nothing may pass
                response = problem_response(tell(error))
            _add_common_headers(response)
        finally:
            request_id.reset(token)
        return response

    return middleware


def _of_http_exception(error: web.HTTPException) -> Problem:
    """Return the problem for what aiohttp itself refuses: path, method or huge body."""
    status = HTTPStatus(error.status)
    match error:
        case web.HTTPNotFound():
            return common.NOT_FOUND
        case web.HTTPMethodNotAllowed(allowed_methods=methods):
            return method_not_allowed(methods)
        case _:
            return replace(problem_of_status(status), message=f"{status.phrase}.")
