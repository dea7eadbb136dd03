"""What the gateway itself tells clients when it cannot pass an answer on.

No text names an upstream, a replica or an address.
"""

from http import HTTPStatus
from typing import Final

from service_kit.problems import Problem

BODY_TOO_LARGE: Final = Problem(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large", "The body is too large."
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


def too_many_requests(retry_after: int) -> Problem:
    """Return the problem for a client that asks too often."""
    return Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        "too_many_requests",
        "There were too many requests. Please try again later.",
        {"Retry-After": str(retry_after)},
    )
