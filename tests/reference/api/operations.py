"""The operations that run, by path."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from openapi_pydantic import Operation as ApiOperation
from openapi_pydantic import PathItem
from tests.reference.api.bodies import request_body
from tests.reference.api.components import SharedComponents
from tests.reference.api.pages import PAGES
from tests.reference.api.parameters import path_of, path_parameters, query_parameters
from tests.reference.api.problems import EVERY_REQUEST, problems_of
from tests.reference.api.responses import refusals_of, replies_of
from tests.reference.api.routes import limits_of, route_of
from tests.reference.api.security import security_of

from content_service.handlers.resources import OPERATIONS as CONTENT
from identity_service.routes import OPERATIONS as IDENTITY
from service_kit.operations import Operation
from service_kit.problems import Problem, accounts

SERVED: Final = (*IDENTITY, *CONTENT, *PAGES)


def paths_of(shared: SharedComponents) -> dict[str, PathItem]:
    """Return every path with its operations."""
    found: dict[str, dict[str, ApiOperation]] = defaultdict(dict)
    for operation in SERVED:
        described = _described(operation, shared)
        found[path_of(operation)][operation.method.lower()] = described
    return {path: PathItem(**methods) for path, methods in found.items()}


def refused_by(operation: Operation) -> dict[str, Problem]:
    """Return the problems that an operation may run into, by code."""
    problems: Iterable[Problem]
    if operation in PAGES:
        problems = (*EVERY_REQUEST, *operation.problems)
    elif operation in IDENTITY:
        problems = (*problems_of(operation), accounts.TEMPORARILY_UNAVAILABLE)
    else:
        problems = problems_of(operation)
    return {each.code: each for each in problems}


def _described(operation: Operation, shared: SharedComponents) -> ApiOperation:
    parameters = [
        *path_parameters(operation, shared),
        *query_parameters(operation, shared),
    ]
    return ApiOperation(
        tags=[operation.tag.value],
        summary=operation.summary,
        description="\n\n".join(_sentences(operation)) or None,
        operationId=_camel(operation.name),
        parameters=parameters or None,
        requestBody=request_body(operation, shared),
        responses={
            **replies_of(operation.replies, shared),
            **refusals_of(refused_by(operation).values(), shared),
        },
        security=security_of(operation),
    )


def _sentences(operation: Operation) -> Iterator[str]:
    if operation.description:
        yield operation.description
    if operation.access.role is not None:
        yield f"For users with the role `{operation.access.role}`."
    if operation not in PAGES:
        yield from limits_of(operation, route_of(path_of(operation)))


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(each.title() for each in others)
