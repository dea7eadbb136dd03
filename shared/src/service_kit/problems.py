"""What a client is told when something fails (RFC 9457)."""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from multidict import istr

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


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of failure, as a client sees it."""

    status: HTTPStatus
    code: str
    """A stable machine word."""
    message: str
    """For people; the tutorial's clients show it."""
    headers: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, object] = field(default_factory=dict)
    """Further members of the body."""


class ProblemError(Exception):
    """Raised by a handler that knows what to tell the client."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem


ProblemTable = Mapping[type[Exception], Problem | Callable[[Exception], Problem]]
"""What a client is told about each expected failure."""

INTERNAL_ERROR: Final = Problem(
    HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "Something went wrong."
)

_CODES: Final = {
    HTTPStatus.BAD_REQUEST: "invalid_request",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "body_too_large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "unsupported_media_type",
}


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
        return INTERNAL_ERROR

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
    code = _CODES.get(status, status.phrase.lower().replace(" ", "_"))
    match error:
        case web.HTTPNotFound():
            return Problem(status, code, "There is nothing here.")
        case web.HTTPMethodNotAllowed(allowed_methods=methods):
            allow = {"Allow": ", ".join(sorted(methods))}
            return Problem(status, code, "This method is not allowed here.", allow)
        case _:
            return Problem(status, code, f"{status.phrase}.")
