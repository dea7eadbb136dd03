"""Problems that replace a response of an upstream.

No text names an upstream, a replica or an address.
"""

from dataclasses import replace
from typing import Final

from gateway_service.http1.problems import REQUEST_TIMEOUT
from gateway_service.upstreams.connections.response import UpstreamError
from gateway_service.upstreams.failures import FailureKind
from service_kit.problems import Problem, common, retry_in

BODY_TOO_LARGE: Final = common.BODY_TOO_LARGE
UNAVAILABLE: Final = common.UNAVAILABLE
BAD_ANSWER: Final = common.BAD_ANSWER
UNREACHABLE: Final = common.UNREACHABLE
NO_ANSWER_IN_TIME: Final = common.NO_ANSWER_IN_TIME
LOOP_DETECTED: Final = common.LOOP_DETECTED
MALFORMED_MAX_FORWARDS: Final = replace(
    common.INVALID_REQUEST, message="Max-Forwards is not a single number."
)


def too_many_requests(retry_after: int) -> Problem:
    """Return the problem for a client that asks too often."""
    return retry_in(common.TOO_MANY_REQUESTS, retry_after)


def after(error: UpstreamError) -> Problem:
    """Return the problem for a request whose last attempt failed like this."""
    if error.is_clients_fault:
        return REQUEST_TIMEOUT
    if error.is_late:
        return NO_ANSWER_IN_TIME
    if error.kind is FailureKind.REFUSED:
        return UNREACHABLE
    return BAD_ANSWER
