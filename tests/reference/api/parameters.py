"""What varies in the path and the query string of an operation."""

import re
from collections.abc import Iterator
from typing import Final

from openapi_pydantic import Parameter, Reference, Schema
from tests.reference.api.components import SharedComponents
from tests.reference.api.schemas import JsonSchema

from identity_service.handlers.schemas import MOST_ID
from service_kit.operations import Operation, PathParameter

_PLAIN: Final = "[A-Za-z0-9_-]+"
"""What a part of a path may be that aiohttp takes whatever it is."""


def path_of(operation: Operation) -> str:
    """Return the path as OpenAPI has it: without regular expressions."""
    return re.sub(r"\{(\w+):(?:[^{}]|\{[^{}]*\})*\}", r"{\1}", operation.path)


def path_parameters(
    operation: Operation, shared: SharedComponents
) -> Iterator[Reference]:
    """Yield the parts of the path that vary."""
    patterns = _patterns(operation.path)
    for name in re.findall(r"\{([a-z_]+)", operation.path):
        about = operation.path_parameters[name]
        parameter = Parameter(
            name=name,
            **{"in": "path"},
            required=True,
            description=about.description,
            example=about.example,
            param_schema=Schema.model_validate(_schema(about, patterns.get(name))),
        )
        yield shared.parameters.refer(_component(about), parameter)


def query_parameters(
    operation: Operation, shared: SharedComponents
) -> Iterator[Reference]:
    """Yield the members of the query's model; an empty one counts as absent."""
    if operation.query is None:
        return
    schema = shared.schemas[operation.query.__name__]
    for name, member in schema["properties"].items():
        described = dict(member)
        parameter = Parameter(
            name=name,
            **{"in": "query"},
            description=described.pop("description", None),
            required=name in schema.get("required", ()),
            allowEmptyValue=True,
            param_schema=Schema.model_validate(_not_null(described)),
        )
        yield shared.parameters.refer(f"query.{name}", parameter)


def _component(about: PathParameter) -> str:
    """Return the component's name: `path.user-id` of "The user's id."."""
    words = about.description.removeprefix("The ").removesuffix(".")
    return "path." + words.replace("'s", "").replace(" ", "-")


def _patterns(path: str) -> dict[str, str]:
    """Return the regular expression of each part that varies, if it has one."""
    return dict(re.findall(r"\{(\w+):((?:[^{}]|\{[^{}]*\})*)\}", path))


def _schema(about: PathParameter, pattern: str | None) -> JsonSchema:
    if isinstance(about.example, int):
        return {
            "type": "integer",
            "format": "int64",
            "minimum": 1,
            "maximum": MOST_ID,
        }
    return {
        "type": "string",
        "minLength": 1,
        "maxLength": 1_400,
        "pattern": f"^{pattern or _PLAIN}$",
    }


def _not_null(schema: JsonSchema) -> JsonSchema:
    """Return the schema of a parameter: a query string holds no null."""
    match schema:
        case {"anyOf": [first, {"type": "null"}], **rest}:
            return {**rest, **first}
        case _:
            return schema
