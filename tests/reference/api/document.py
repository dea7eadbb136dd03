"""Write the API's document from the operations that run.

``make docs`` runs this. The gateway serves the file it writes as /openapi.json.
"""

from collections.abc import Iterator
from importlib.metadata import version
from typing import Final

from openapi_pydantic import Components, Info, License, OpenAPI, Schema, Server
from openapi_pydantic import Tag as ApiTag
from pydantic import BaseModel
from tests.reference.api.components import SharedComponents
from tests.reference.api.headers import HEADERS
from tests.reference.api.layout import laid_out, whole
from tests.reference.api.operations import SERVED, paths_of, refused_by
from tests.reference.api.problems import ProblemBody, example_of_problem
from tests.reference.api.routes import ROOT
from tests.reference.api.schemas import Mode, schemas_of
from tests.reference.api.security import SCHEMES

from service_kit.operations import Tag

FILE: Final = ROOT / "gateway/src/gateway_service/console/files/openapi.json"

_INFO: Final = Info(
    title="Gatehouse",
    version=version("gateway-service"),
    summary="Sign-in and access to resources behind one gateway",
    description="""\
Users, roles, sessions and tokens, and the resources they open. Every error is a problem
(RFC 9457) whose `code` is a stable word, whose `type` is a page that explains it, and
whose `message` is in the language that `Accept-Language` prefers (English, German).""",
    license=License(name="MIT", identifier="MIT"),
)

_SERVER: Final = Server.model_validate(
    {
        "url": "/",
        "description": "production: the gateway that serves this document",
        "x-internal": False,
    }
)


def document() -> OpenAPI:
    """Return the document."""
    shared = SharedComponents(schemas_of(_models()))
    return OpenAPI(
        openapi="3.1.1",
        info=_INFO,
        servers=[_SERVER],
        tags=[ApiTag(name=each.value, description=each.description) for each in Tag],
        paths=paths_of(shared),
        components=_components(shared),
    )


def text() -> str:
    """Return the file's text."""
    members = document().model_dump(
        mode="json", by_alias=True, exclude_none=True, exclude_unset=True
    )
    return laid_out(whole(members)) + "\n"


def _models() -> Iterator[tuple[type[BaseModel], Mode]]:
    """Yield the models of bodies and query strings."""
    yield ProblemBody, "serialization"
    for each in SERVED:
        if each.body is not None:
            yield each.body, "validation"
    for each in SERVED:
        if each.query is not None:
            yield each.query, "validation"
    for each in SERVED:
        for reply in each.replies:
            if reply.model is not None:
                yield reply.model, "serialization"


def _components(shared: SharedComponents) -> Components:
    queries = {each.query.__name__ for each in SERVED if each.query}
    problems = {
        code: problem for each in SERVED for code, problem in refused_by(each).items()
    }
    return Components(
        schemas={
            name: Schema.model_validate(schema)
            for name, schema in shared.schemas.items()
            if name not in queries
        },
        responses=shared.responses.by_name(),
        parameters=shared.parameters.by_name(),
        requestBodies=shared.bodies.by_name(),
        headers=HEADERS,
        examples={
            code: example_of_problem(problem)
            for code, problem in sorted(problems.items())
        },
        securitySchemes=SCHEMES,
    )


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
