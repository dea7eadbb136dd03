"""Problems of requests that cannot be parsed or served."""

from dataclasses import replace
from http import HTTPStatus
from typing import Final

from service_kit.problems import Problem, common, problem_of_status

NOT_FOUND: Final = common.NOT_FOUND
REQUEST_TIMEOUT: Final = common.REQUEST_TIMEOUT
TOO_MANY_CONNECTIONS: Final = common.TOO_MANY_CONNECTIONS
INCOMPLETE: Final = replace(
    common.INVALID_REQUEST, message="The request ended too early."
)


def malformed(status: HTTPStatus, message: str) -> Problem:
    """Return the problem for a request that could not be understood."""
    return replace(problem_of_status(status), message=message)


def method_not_allowed(allow: str) -> Problem:
    """Return the problem for a method that the route does not let through."""
    return replace(common.METHOD_NOT_ALLOWED, headers={"Allow": allow})
