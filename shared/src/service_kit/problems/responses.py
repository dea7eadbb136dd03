"""Render problems, and find the problem for an error."""

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

from aiohttp import hdrs, web
from multidict import istr

from service_kit.languages.accepting import preferred_language
from service_kit.languages.text import ENGLISH
from service_kit.observability.request_id import request_id
from service_kit.problems import common
from service_kit.problems.problem import Problem, ProblemError
from service_kit.problems.registry import PROBLEMS

MEDIA_TYPE: Final = "application/problem+json"

SECURITY_HEADERS: Final[Mapping[str, str]] = {
    istr("X-Content-Type-Options"): "nosniff",
    istr("Content-Security-Policy"): "default-src 'none'; frame-ancestors 'none'",
    istr("Referrer-Policy"): "no-referrer",
    istr("Cross-Origin-Resource-Policy"): "same-site",
}
"""On every response that is not a page for people (OWASP REST security)."""

_EXPLAINED: Final = frozenset(each.code for each in PROBLEMS)
"""Codes of the problems that the gateway has a page of."""

_NO_PAGE: Final = "about:blank"
"""RFC 9457 section 4.2.1."""

_logger: Final = logging.getLogger(__name__)


ProblemTable = Mapping[type[Exception], Problem | Callable[[Any], Problem]]
"""The problem for each expected failure, or a function that fits one to it: it gets
an exception of that class."""

_OF_THE_BODY: Final = ("content-", "transfer-encoding")
"""Beginnings of fields that describe the body, which a problem's takes the place of."""

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
    """Return the problem that a status alone stands for."""
    if found := _OF_STATUS.get(status):
        return found
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return common.INTERNAL_ERROR
    return replace(common.INVALID_REQUEST, status=status)


def method_not_allowed(methods: Iterable[str]) -> Problem:
    """Return the problem for a method that is none of those that are allowed."""
    allow = {"Allow": ", ".join(sorted(methods))}
    return replace(common.METHOD_NOT_ALLOWED, headers=allow)


def problem_body(
    problem: Problem, instance: str, *, language: str = ENGLISH, public_url: str = ""
) -> bytes:
    """Return the JSON text of a problem; ``instance`` is the request id.

    Its type is a page of the gateway that ``public_url`` leads to, if there is one.
    Without that it is relative to the request's own URL.
    """
    page = f"{public_url}/problems/{problem.code}"
    errors = [each.members(language) for each in problem.errors]
    message = problem.text.in_language(language)
    members = {
        "type": page if problem.code in _EXPLAINED else _NO_PAGE,
        "title": problem.title,
        "status": int(problem.status),
        "detail": message,
        "instance": instance,
        "code": problem.code,
        "message": message,
        **({"errors": errors} if errors else {}),
        **problem.members,
    }
    return json.dumps(members).encode()


def language_headers(problem: Problem, preferred: str) -> dict[str, str]:
    """Return the fields that name the language of a problem, and what it depends on."""
    language = preferred if problem.text.is_in(preferred) else ENGLISH
    return {hdrs.CONTENT_LANGUAGE: language, hdrs.VARY: hdrs.ACCEPT_LANGUAGE}


def problem_response(problem: Problem, *, public_url: str = "") -> web.Response:
    """Return the response with a problem and its headers."""
    language = preferred_language.get()
    return web.Response(
        status=problem.status,
        body=problem_body(
            problem, request_id.get(), language=language, public_url=public_url
        ),
        content_type=MEDIA_TYPE,
        headers={
            hdrs.CACHE_CONTROL: "no-store",
            **language_headers(problem, language),
            **problem.headers,
        },
    )


def problem_mapper(table: ProblemTable) -> Callable[[Exception], Problem]:
    """Return a function that maps an exception to a problem.

    An error is looked up by its class, then by its base classes. One that is not
    in the table is logged with its traceback and becomes `INTERNAL_ERROR`.
    """

    def problem_for(error: Exception) -> Problem:
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

    return problem_for


def _of_http_exception(error: web.HTTPException) -> Problem:
    """Return the problem for what aiohttp or a handler refuses by one of its errors."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        return method_not_allowed(error.allowed_methods)
    problem = problem_of_status(HTTPStatus(error.status))
    own = {
        name: value
        for name, value in error.headers.items()
        if not name.lower().startswith(_OF_THE_BODY)
    }
    return replace(problem, headers={**problem.headers, **own})
