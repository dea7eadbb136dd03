"""What clients are told about requests that cannot be understood or served."""

from http import HTTPStatus
from typing import Final

from service_kit.problems import Problem

NOT_FOUND: Final = Problem(HTTPStatus.NOT_FOUND, "not_found", "There is nothing here.")
REQUEST_TIMEOUT: Final = Problem(
    HTTPStatus.REQUEST_TIMEOUT, "request_timeout", "The request did not come in time."
)
INCOMPLETE: Final = Problem(
    HTTPStatus.BAD_REQUEST, "invalid_request", "The request ended before its end."
)
TOO_MANY_CONNECTIONS: Final = Problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "too_many_connections",
    "There are too many connections. Please try again.",
    {"Retry-After": "1"},
)

_CODES: Final = {
    HTTPStatus.EXPECTATION_FAILED: "expectation_failed",
    HTTPStatus.HTTP_VERSION_NOT_SUPPORTED: "http_version_not_supported",
    HTTPStatus.NOT_IMPLEMENTED: "not_implemented",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "header_fields_too_large",
    HTTPStatus.REQUEST_URI_TOO_LONG: "target_too_long",
}


def malformed(status: HTTPStatus, message: str) -> Problem:
    """Return the problem for a request that could not be understood."""
    return Problem(status, _CODES.get(status, "invalid_request"), message)


def method_not_allowed(allow: str) -> Problem:
    """Return the problem for a method that the route does not let through."""
    return Problem(
        HTTPStatus.METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "This method is not allowed here.",
        {"Allow": allow},
    )
