"""Problems of requests, of access tokens and of services that cannot be reached."""

from http import HTTPStatus
from typing import Final

from service_kit.problems.problem import Problem

INVALID_REQUEST: Final = Problem(
    HTTPStatus.BAD_REQUEST,
    "invalid_request",
    "The request is not valid.",
    "Correct what the message names; the same request fails again.",
)
INVALID_BODY: Final = Problem(
    HTTPStatus.BAD_REQUEST,
    "invalid_body",
    "The body is not valid JSON.",
    "Send one JSON object in UTF-8, without duplicate members.",
)
MISSING_TOKEN: Final = Problem(
    HTTPStatus.UNAUTHORIZED,
    "missing_token",
    "No token provided!",
    "Sign in and send the access token. The status is 403 under TUTORIAL_COMPAT.",
    {"WWW-Authenticate": "Bearer"},
)
INVALID_TOKEN: Final = Problem(
    HTTPStatus.UNAUTHORIZED,
    "invalid_token",
    "Unauthorized!",
    "Refresh the access token; if that is refused too, sign in again.",
    {"WWW-Authenticate": 'Bearer error="invalid_token"'},
)
INSUFFICIENT_SCOPE: Final = Problem(
    HTTPStatus.FORBIDDEN,
    "insufficient_scope",
    "Require Admin Role!",
    "Ask an admin for the role that the message names, then refresh the access token.",
    {"WWW-Authenticate": 'Bearer error="insufficient_scope"'},
)
INSUFFICIENT_AUTHENTICATION: Final = Problem(
    HTTPStatus.UNAUTHORIZED,
    "insufficient_user_authentication",
    "Please prove again who you are.",
    "Have the user do what WWW-Authenticate asks for (RFC 9470): with max_age, POST"
    " /api/users/me/fresh; with acr_values, sign in with a second factor. Then refresh"
    " the access token.",
    {"WWW-Authenticate": 'Bearer error="insufficient_user_authentication"'},
)
NOT_FOUND: Final = Problem(
    HTTPStatus.NOT_FOUND,
    "not_found",
    "There is nothing here.",
    "Check the path, and the gateway's routes.",
)
METHOD_NOT_ALLOWED: Final = Problem(
    HTTPStatus.METHOD_NOT_ALLOWED,
    "method_not_allowed",
    "This method is not allowed here.",
    "Use a method that the header Allow names.",
)
REQUEST_TIMEOUT: Final = Problem(
    HTTPStatus.REQUEST_TIMEOUT,
    "request_timeout",
    "The request did not come in time.",
    "Send the whole request sooner, on a new connection.",
)
BODY_TIMEOUT: Final = Problem(
    HTTPStatus.REQUEST_TIMEOUT,
    "body_timeout",
    "The body did not arrive in time.",
    "Send the whole body sooner, on a new connection.",
    {"Connection": "close"},
)
BODY_TOO_LARGE: Final = Problem(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "body_too_large",
    "The body is too large.",
    "Send less, or ask the operator for a larger limit of the route.",
)
TARGET_TOO_LONG: Final = Problem(
    HTTPStatus.REQUEST_URI_TOO_LONG,
    "target_too_long",
    "The request target is too long.",
    "Shorten the path and the query.",
)
UNSUPPORTED_MEDIA_TYPE: Final = Problem(
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "unsupported_media_type",
    "The body must be application/json.",
    "Send the header Content-Type with the media type that the message names.",
)
UNSUPPORTED_CONTENT_ENCODING: Final = Problem(
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "unsupported_content_encoding",
    "The body must not be compressed.",
    "Send the body without Content-Encoding.",
    {"Accept-Encoding": "identity"},
)
EXPECTATION_FAILED: Final = Problem(
    HTTPStatus.EXPECTATION_FAILED,
    "expectation_failed",
    "Only 100-continue can be expected.",
    "Send no other Expect header.",
)
TOO_MANY_REQUESTS: Final = Problem(
    HTTPStatus.TOO_MANY_REQUESTS,
    "too_many_requests",
    "There were too many requests. Please try again in {wait}.",
    "Wait as long as Retry-After says. The operator sets the limit of the route.",
)
HEADER_FIELDS_TOO_LARGE: Final = Problem(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "header_fields_too_large",
    "The header fields are too large.",
    "Send fewer or shorter headers and cookies.",
)
INTERNAL_ERROR: Final = Problem(
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "internal_error",
    "Something went wrong.",
    "Give the operator the request id; the log holds the reason under it.",
)
NOT_IMPLEMENTED: Final = Problem(
    HTTPStatus.NOT_IMPLEMENTED,
    "not_implemented",
    "This is not supported.",
    "Use plain HTTP/1.1 requests: no CONNECT, no transfer coding but chunked.",
)
BAD_ANSWER: Final = Problem(
    HTTPStatus.BAD_GATEWAY,
    "bad_answer",
    "The service gave no usable answer.",
    "Tell the operator: a replica sends malformed responses.",
)
UNREACHABLE: Final = Problem(
    HTTPStatus.BAD_GATEWAY,
    "unreachable",
    "The service could not be reached. Please try again.",
    "Try again. The operator looks at the upstream's replicas.",
    {"Retry-After": "1"},
)
UNAVAILABLE: Final = Problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "unavailable",
    "This service is not available at the moment. Please try again.",
    "Try again. The operator looks at the upstream's replicas.",
    {"Retry-After": "1"},
)
TOO_MANY_CONNECTIONS: Final = Problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "too_many_connections",
    "There are too many connections. Please try again.",
    "Use fewer connections. The operator sets the limits of a process and of a client.",
    {"Retry-After": "1"},
)
VERIFICATION_UNAVAILABLE: Final = Problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "verification_unavailable",
    "Access tokens cannot be verified at the moment.",
    "Try again. The operator checks that the service reaches the issuer.",
)
NOT_READY: Final = Problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "not_ready",
    "Not ready.",
    "The member faults names the reasons. Seen on the internal port alone.",
)
NO_ANSWER_IN_TIME: Final = Problem(
    HTTPStatus.GATEWAY_TIMEOUT,
    "no_answer_in_time",
    "The service gave no answer in time.",
    "Try again. The operator looks at the upstream's load and its timeouts.",
    {"Retry-After": "1"},
)
LOOP_DETECTED: Final = Problem(
    HTTPStatus.LOOP_DETECTED,
    "loop_detected",
    "The request came through this gateway before.",
    "The operator looks for an upstream that leads back to the gateway. Two gateways"
    " in a row need two names: set `pseudonym`.",
)
HTTP_VERSION_NOT_SUPPORTED: Final = Problem(
    HTTPStatus.HTTP_VERSION_NOT_SUPPORTED,
    "http_version_not_supported",
    "Only HTTP/1 is spoken here.",
    "Use HTTP/1.1.",
)
