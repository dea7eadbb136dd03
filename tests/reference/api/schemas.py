"""JSON Schemas of the models that run, and an example of what each describes."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from openapi_pydantic import Reference
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema
from tests.reference.api.docstrings import descriptions_of

REFERENCE: Final = "#/components/schemas/{model}"

JsonSchema = dict[str, Any]


class _Schemas(GenerateJsonSchema):
    """Leaves out what says nothing: titles, and defaults that stand for absence.

    Describes members by what their models say of them.
    """

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        made = super().model_schema(schema)
        for name, description in descriptions_of(schema["cls"]).items():
            made["properties"][name]["description"] = description
        return made

    def field_title_should_be_set(self, schema: object) -> bool:
        del schema
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default"):
            return super().default_schema(schema)
        return self.generate_inner(schema["schema"])


Mode = Literal["validation", "serialization"]


def reference(kind: str, name: str) -> Reference:
    """Return a reference to a component."""
    return Reference(**{"$ref": f"#/components/{kind}/{name}"})


def schemas_of(models: Iterable[tuple[type[BaseModel], Mode]]) -> dict[str, JsonSchema]:
    """Return the schema of each model and of what is in it, by name."""
    _, definitions = models_json_schema(
        list(dict.fromkeys(models)),
        ref_template=REFERENCE,
        schema_generator=_Schemas,
    )
    found = definitions.get("$defs", {})
    for schema in found.values():
        schema.pop("title", None)
    return dict(sorted(found.items()))


def example_of(schema: JsonSchema, schemas: Mapping[str, JsonSchema]) -> object:
    """Return a value that a schema describes, made of the examples in it."""
    example: object
    match schema:
        case {"$ref": reference}:
            example = example_of(schemas[reference.rpartition("/")[2]], schemas)
        case {"examples": [example, *_]} | {"const": example} | {"enum": [example, *_]}:
            pass
        case {"anyOf": [first, *_]}:
            example = example_of(first, schemas)
        case {"type": "object"}:
            example = {
                name: example_of(member, schemas)
                for name, member in schema.get("properties", {}).items()
            }
        case {"type": "array", "items": items}:
            example = [example_of(items, schemas)] * schema.get("minItems", 1)
        case {"type": "integer", "minimum": example} | {"default": example}:
            pass
        case {"type": "boolean"}:
            example = False
        case _:
            raise ValueError(f"needs an example: {schema}")
    return example
