"""What the gateway itself tells clients when it cannot pass an answer on.

No text names an upstream, a replica or an address.
"""

from http import HTTPStatus
from typing import Final

from service_kit.errors import Problem

NOT_FOUND: Final = Problem(HTTPStatus.NOT_FOUND, "not_found", "There is nothing here.")
BODY_TOO_LARGE: Final = Problem(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large", "The body is too large."
)
REQUEST_TIMEOUT: Final = Problem(
    HTTPStatus.REQUEST_TIMEOUT, "request_timeout", "The request did not come in time."
)
INCOMPLETE: Final = Problem(
    HTTPStatus.BAD_REQUEST, "invalid_request", "The request ended before its end."
)
MALFORMED_MAX_FORWARDS: Final = Problem(
    HTTPStatus.BAD_REQUEST, "invalid_request", "Max-Forwards is not one number."
)
UNAVAILABLE: Final = Problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "unavailable",
    "This service is not available at the moment. Please try again.",
    {"Retry-After": "1"},
)
TOO_MANY_CONNECTIONS: Final = Problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "too_many_connections",
    "There are too many connections. Please try again.",
    {"Retry-After": "1"},
)
BAD_ANSWER: Final = Problem(
    HTTPStatus.BAD_GATEWAY, "bad_answer", "The service gave no usable answer."
)
UNREACHABLE: Final = Problem(
    HTTPStatus.BAD_GATEWAY,
    "unreachable",
    "The service could not be reached. Please try again.",
    {"Retry-After": "1"},
)
NO_ANSWER_IN_TIME: Final = Problem(
    HTTPStatus.GATEWAY_TIMEOUT,
    "no_answer_in_time",
    "The service gave no answer in time.",
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


def too_many_requests(retry_after: int) -> Problem:
    """Return the problem for a client that asks too often."""
    return Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        "too_many_requests",
        "There were too many requests. Please try again later.",
        {"Retry-After": str(retry_after)},
    )
