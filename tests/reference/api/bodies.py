"""The bodies of requests, and what a body of a model looks like."""

from collections.abc import Mapping

from openapi_pydantic import MediaType, Reference, RequestBody
from tests.reference.api.components import SharedComponents
from tests.reference.api.schemas import JsonSchema, example_of, reference

from service_kit.operations import Operation


def request_body(operation: Operation, shared: SharedComponents) -> Reference | None:
    """Return what an operation reads, if it reads a body."""
    if operation.body is None:
        return None
    name = operation.body.__name__
    required = shared.schemas[name].get("required")
    body = RequestBody(
        # No body is an empty one, whose members are missing. The generator of
        # Python clients forgets an import where one of two types is required.
        required=bool(required) and len(operation.body_types) == 1,
        content={
            each: content_of(operation.body, shared.schemas)
            for each in operation.body_types
        },
    )
    return shared.bodies.refer(name, body)


def content_of(model: type, schemas: Mapping[str, JsonSchema]) -> MediaType:
    """Return a body of a model, with an example."""
    return MediaType(
        media_type_schema=reference("schemas", model.__name__),
        example=example_of(schemas[model.__name__], schemas),
    )
