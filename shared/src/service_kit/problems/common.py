"""Problems of requests, of access tokens and of services that cannot be reached."""

from http import HTTPStatus
from typing import Final

from service_kit.languages.text import duration
from service_kit.problems.problem import Problem

INVALID_REQUEST: Final = Problem(
    HTTPStatus.BAD_REQUEST,
    "invalid_request",
    "The request is not valid.",
    "The request's line, headers or form data break a rule of HTTP or of this API.",
    "Correct what the message names. The same request would fail again.",
)
INVALID_BODY: Final = Problem(
    HTTPStatus.BAD_REQUEST,
    "invalid_body",
    "The body is not valid JSON.",
    "The body cannot be parsed, is nested too deeply or too large, or is not an"
    " object.",
    "Send one JSON object in UTF-8, without duplicate members.",
)
JSON_SENT_AS_FORM: Final = Problem(
    HTTPStatus.BAD_REQUEST,
    "json_sent_as_form",
    "The body is JSON, but the header Content-Type says that it is a form.",
    "Some clients, curl -d among them, label every body a form unless told otherwise.",
    "Send the header Content-Type: application/json.",
)
MISSING_TOKEN: Final = Problem(
    HTTPStatus.UNAUTHORIZED,
    "missing_token",
    "No token provided!",
    "The resource requires an access token, and the request has none.",
    "Sign in and send the access token. With TUTORIAL_COMPAT=true the status is 403.",
    {"WWW-Authenticate": "Bearer"},
)
INVALID_TOKEN: Final = Problem(
    HTTPStatus.UNAUTHORIZED,
    "invalid_token",
    "Unauthorized!",
    "The access token has expired, was revoked, or was not issued for this service.",
    "Refresh the access token; if that is refused too, sign in again.",
    {"WWW-Authenticate": 'Bearer error="invalid_token"'},
)
CROSS_SITE_REQUEST: Final = Problem(
    HTTPStatus.FORBIDDEN,
    "cross_site_request",
    "Cookies are accepted from pages of this site only. localhost and 127.0.0.1 are"
    " different sites.",
    "Cookies count only in requests from pages of this site or of an allowed origin.",
    "Open the page under the API's host name, add its origin to the service's"
    " ALLOWED_ORIGINS (such as IDENTITY_ALLOWED_ORIGINS), or send the token in a"
    " header.",
)
INSUFFICIENT_SCOPE: Final = Problem(
    HTTPStatus.FORBIDDEN,
    "insufficient_scope",
    "Require {role} Role!",
    "The access token is valid, but its user lacks the role that is required here. No"
    " role includes another.",
    "Ask an admin for the role that the message names, then refresh the access token.",
    {"WWW-Authenticate": 'Bearer error="insufficient_scope"'},
    parameters={"role": "Admin"},
)
INSUFFICIENT_USER_AUTHENTICATION: Final = Problem(
    HTTPStatus.UNAUTHORIZED,
    "insufficient_user_authentication",
    "Please confirm your identity again.",
    "The service requires a more recent or a stronger sign-in than the token states.",
    "Have the user do what WWW-Authenticate asks for (RFC 9470): with max_age, POST"
    " /api/users/me/fresh; with acr_values, sign in with a second factor. Then refresh"
    " the access token.",
    {"WWW-Authenticate": 'Bearer error="insufficient_user_authentication"'},
)
NOT_FOUND: Final = Problem(
    HTTPStatus.NOT_FOUND,
    "not_found",
    "There is nothing here.",
    "No route and no resource has this path.",
    "Check the path, and the gateway's routes.",
)
METHOD_NOT_ALLOWED: Final = Problem(
    HTTPStatus.METHOD_NOT_ALLOWED,
    "method_not_allowed",
    "This method is not allowed here.",
    "The path exists, but not for this method.",
    "Use a method that the header Allow names.",
)
REQUEST_TIMEOUT: Final = Problem(
    HTTPStatus.REQUEST_TIMEOUT,
    "request_timeout",
    "The request did not arrive in time.",
    "A connection that sends its request too slowly is closed to make room for others.",
    "Send the whole request faster, on a new connection.",
)
BODY_TIMEOUT: Final = Problem(
    HTTPStatus.REQUEST_TIMEOUT,
    "body_timeout",
    "The body did not arrive in time.",
    "The body arrived more slowly than allowed, or stopped arriving.",
    "Send the whole body faster, on a new connection.",
    {"Connection": "close"},
)
BODY_TOO_LARGE: Final = Problem(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "body_too_large",
    "The body is too large.",
    "Each route limits the size of bodies.",
    "Send less, or ask the operator to raise the route's limit.",
)
TARGET_TOO_LONG: Final = Problem(
    HTTPStatus.REQUEST_URI_TOO_LONG,
    "target_too_long",
    "The request target is too long.",
    "The request line is longer than the gateway accepts.",
    "Shorten the path and the query.",
)
UNSUPPORTED_MEDIA_TYPE: Final = Problem(
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "unsupported_media_type",
    "The body must be {accepted}.",
    "The header Content-Type is missing or names a media type that is not accepted"
    " here.",
    "Send the header Content-Type with a media type that the message names.",
    parameters={"accepted": "application/json"},
)
UNSUPPORTED_CONTENT_ENCODING: Final = Problem(
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "unsupported_content_encoding",
    "The body must not be compressed.",
    "A small compressed body can expand to a huge one, so compressed bodies are not"
    " read.",
    "Send the body without Content-Encoding.",
    {"Accept-Encoding": "identity"},
)
EXPECTATION_FAILED: Final = Problem(
    HTTPStatus.EXPECTATION_FAILED,
    "expectation_failed",
    "The only supported expectation is 100-continue.",
    "The header Expect asks for something that is not supported here.",
    "Leave out the header Expect, or send 100-continue.",
)
TOO_MANY_REQUESTS: Final = Problem(
    HTTPStatus.TOO_MANY_REQUESTS,
    "too_many_requests",
    "Too many requests. Please try again in {wait}.",
    "This client has sent as many requests as the route allows; RateLimit-Policy"
    " states the limit and its period.",
    "Wait as long as Retry-After says. The operator sets the limit of the route.",
    parameters={"wait": duration(6)},
)
HEADER_FIELDS_TOO_LARGE: Final = Problem(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "header_fields_too_large",
    "The header fields are too large.",
    "One header field, or all of them together, are larger than the gateway accepts.",
    "Send fewer or shorter headers and cookies.",
)
INTERNAL_ERROR: Final = Problem(
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "internal_error",
    "Something went wrong.",
    "An unexpected error occurred in the service.",
    "Give the operator the request id: the log has the cause under it.",
)
NOT_IMPLEMENTED: Final = Problem(
    HTTPStatus.NOT_IMPLEMENTED,
    "not_implemented",
    "This is not supported.",
    "The request asks for a part of HTTP that is not supported here.",
    "Use plain HTTP/1.1 requests: no CONNECT, no transfer coding other than chunked.",
)
BAD_ANSWER: Final = Problem(
    HTTPStatus.BAD_GATEWAY,
    "bad_answer",
    "The service sent no usable response.",
    "The response of the service behind the gateway breaks the rules of HTTP.",
    "Tell the operator: a replica sends malformed responses.",
)
UNREACHABLE: Final = Problem(
    HTTPStatus.BAD_GATEWAY,
    "unreachable",
    "The service could not be reached. Please try again.",
    "No replica of the service accepted the request.",
    "Try again. If that keeps failing, the operator should check the upstream's"
    " replicas.",
    {"Retry-After": "1"},
)
UNAVAILABLE: Final = Problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "unavailable",
    "This service is not available at the moment. Please try again.",
    "Every replica of the service is at its limit or unhealthy.",
    "Try again. If that keeps failing, the operator should check the upstream's"
    " replicas.",
    {"Retry-After": "1"},
)
TOO_MANY_CONNECTIONS: Final = Problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "too_many_connections",
    "Too many connections. Please try again.",
    "The gateway, or this client, has as many connections as are allowed.",
    "Use fewer connections. The operator sets the limits of a process and of a client.",
    {"Retry-After": "1"},
)
VERIFICATION_UNAVAILABLE: Final = Problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "verification_unavailable",
    "Access tokens cannot be verified at the moment.",
    "The service has no current keys or status lists of the issuer, and cannot verify"
    " tokens without them.",
    "Try again. If that keeps failing, the operator should check that the service"
    " reaches the issuer.",
)
NOT_READY: Final = Problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "not_ready",
    "Not ready.",
    "The process is starting or stopping, or lacks something it depends on.",
    "The member faults names the reasons. This problem occurs on the internal port"
    " only.",
)
NO_ANSWER_IN_TIME: Final = Problem(
    HTTPStatus.GATEWAY_TIMEOUT,
    "no_answer_in_time",
    "The service did not respond in time.",
    "The service took longer than the route's timeouts allow.",
    "Try again. If that keeps failing, the operator should check the upstream's load"
    " and its timeouts.",
    {"Retry-After": "1"},
)
LOOP_DETECTED: Final = Problem(
    HTTPStatus.LOOP_DETECTED,
    "loop_detected",
    "The request has already passed through this gateway.",
    "The header Via already names this gateway.",
    "The operator should look for an upstream that leads back to the gateway. Two"
    " gateways in a row need different names: set `pseudonym`.",
)
HTTP_VERSION_NOT_SUPPORTED: Final = Problem(
    HTTPStatus.HTTP_VERSION_NOT_SUPPORTED,
    "http_version_not_supported",
    "Only HTTP/1 is supported here.",
    "The request line names another major version of HTTP.",
    "Use HTTP/1.1.",
)
