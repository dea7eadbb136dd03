"""Which problems an operation may run into, and how they look."""

import json
from collections.abc import Iterator
from typing import Annotated, Any, Final

from openapi_pydantic import Example
from pydantic import BaseModel, ConfigDict

from identity_service.handlers.field_errors import MOST_ERRORS
from identity_service.handlers.schemas import Number, described, text
from service_kit.operations import CredentialsKind, Operation
from service_kit.problems import Problem, accounts, common, problem_body
from service_kit.requests.bodies import FORM

PUBLIC_URL: Final = "https://id.example"
REQUEST_ID: Final = "0123456789abcdef01234567"

EVERY_REQUEST: Final = (
    common.INVALID_REQUEST,
    common.REQUEST_TIMEOUT,
    common.TARGET_TOO_LONG,
    common.EXPECTATION_FAILED,
    common.HEADER_FIELDS_TOO_LARGE,
    common.TOO_MANY_REQUESTS,
    common.INTERNAL_ERROR,
    common.NOT_IMPLEMENTED,
    common.TOO_MANY_CONNECTIONS,
    common.HTTP_VERSION_NOT_SUPPORTED,
)
_EVERY_ROUTE: Final = (
    common.BAD_ANSWER,
    common.UNREACHABLE,
    common.UNAVAILABLE,
    common.NO_ANSWER_IN_TIME,
    common.LOOP_DETECTED,
)
_EVERY_BODY: Final = (
    common.INVALID_BODY,
    common.BODY_TIMEOUT,
    common.BODY_TOO_LARGE,
    common.UNSUPPORTED_MEDIA_TYPE,
    common.UNSUPPORTED_CONTENT_ENCODING,
)
_EVERY_ACCESS_TOKEN: Final = (
    common.MISSING_TOKEN,
    common.INVALID_TOKEN,
    common.VERIFICATION_UNAVAILABLE,
)


class ErrorBody(BaseModel):
    """What is wrong with one member or parameter of the request."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    field: Annotated[str, text(64, "newPassword")]
    """As the request calls it."""
    code: Annotated[str, text(64, "password_too_short")]
    message: Annotated[str, text(500, "A password has at least 8 characters.")]
    parameters: Annotated[
        dict[str, Annotated[str, text(64, "root")] | Number],
        described(maxProperties=8, example={"minimum": 8}),
    ]
    """What the code says exactly: a limit, a name."""


class ProblemBody(BaseModel):
    """What a client learns of a failure (RFC 9457). Some have further members."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    type: Annotated[str, text(2048, f"{PUBLIC_URL}/problems/x", format="uri-reference")]
    """A page about problems of this kind."""
    title: Annotated[str, text(64, "Invalid fields")]
    status: Annotated[int, described(format="int32", minimum=400, maximum=599)]
    detail: Annotated[str, text(8192, "The user name is required.")]
    instance: Annotated[str, text(64, REQUEST_ID)]
    """The request's id, for the operator."""
    code: Annotated[str, text(64, "invalid_fields")]
    """A stable word for programs."""
    message: Annotated[str, text(8192, "The user name is required.")]
    """For people, in the language that Accept-Language prefers."""
    errors: Annotated[list[ErrorBody], described(maxItems=MOST_ERRORS)] = []


def problems_of(operation: Operation) -> Iterator[Problem]:
    """Yield what may be told instead of a reply, but for limits of the gateway."""
    yield from EVERY_REQUEST
    yield from _EVERY_ROUTE
    yield from operation.problems
    if not operation.ignores_unknown_parameters:
        yield accounts.INVALID_FIELDS
    if operation.method != "GET":
        yield from _EVERY_BODY  # also where none is asked for
    if operation.body is not None:
        yield accounts.INVALID_FIELDS
        if FORM in operation.body_types:
            yield common.JSON_SENT_AS_FORM
    if "{" in operation.path:
        yield common.NOT_FOUND
    if operation.access.credentials is CredentialsKind.ACCESS_TOKEN:
        yield from _EVERY_ACCESS_TOKEN
        if operation.method != "GET":
            yield common.CROSS_SITE_REQUEST
        if operation.access.role is not None:
            yield common.INSUFFICIENT_SCOPE


def example_of_problem(problem: Problem) -> Example:
    """Return what a client gets."""
    body: dict[str, Any] = json.loads(
        problem_body(problem, REQUEST_ID, public_url=PUBLIC_URL)
    )
    return Example(summary=problem.title, description=problem.why, value=body)
