"""Write the API's document from the operations that run.

``make docs`` runs this. The gateway serves the file it writes as /openapi.json.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import Final

from aiohttp import hdrs
from openapi_pydantic import (
    Components,
    Header,
    Info,
    License,
    MediaType,
    OpenAPI,
    Parameter,
    PathItem,
    Reference,
    RequestBody,
    Response,
    Schema,
    SecurityScheme,
    Server,
)
from openapi_pydantic import Operation as ApiOperation
from openapi_pydantic import (
    Tag as ApiTag,
)
from tests.reference.api.pages import PAGES
from tests.reference.api.problems import (
    EVERY_REQUEST,
    ProblemBody,
    example_of_problem,
    problems_of,
)
from tests.reference.api.schemas import (
    JsonSchema,
    example_of,
    schemas_of,
)

from content_service.handlers.resources import OPERATIONS as CONTENT
from gateway_service.config.file import read_config
from gateway_service.config.model import RouteConfig
from identity_service.handlers.cookies import SECURE_REFRESH_TOKEN_COOKIE
from identity_service.handlers.schemas import MOST_ID
from identity_service.routes import OPERATIONS as IDENTITY
from service_kit.bodies import JSON
from service_kit.credentials import access_token_cookie
from service_kit.operations import Credentials, Operation, PathParameter, Reply, Tag
from service_kit.problems import MEDIA_TYPE, Problem, accounts

ROOT: Final = Path(__file__).parents[3]
FILE: Final = ROOT / "gateway/src/gateway_service/console/files/openapi.json"

_ROUTES: Final = read_config(ROOT / "deploy" / "gateway.toml", {}).routes

_DESCRIPTION: Final = """\
Users, roles, sessions and tokens, and the resources they open. Every error is a problem
(RFC 9457) whose `code` is a stable word, whose `type` is a page that explains it, and
whose `message` is in the language that `Accept-Language` prefers (English, German)."""

_PLAIN: Final = "[A-Za-z0-9_-]+"
"""What a part of a path may be that aiohttp takes whatever it is."""

_SECURITY: Final[Mapping[Credentials, list[dict[str, list[str]]]]] = {
    Credentials.NONE: [{}],
    Credentials.ACCESS_TOKEN: [
        {"bearer": []},
        {"accessTokenHeader": []},
        {"accessTokenCookie": []},
    ],
    Credentials.CLIENT_SECRET: [{"client": []}],
}

_SCHEMES: Final = {
    "bearer": SecurityScheme(
        type="http",
        scheme="bearer",
        bearerFormat="JWT",
        description="The access token: a JWT as RFC 9068 has it, judged by RFC8725.",
    ),
    "accessTokenHeader": SecurityScheme(
        type="apiKey",
        name="x-access-token",
        security_scheme_in="header",
        description="The access token, as the tutorial's clients send it.",
    ),
    "accessTokenCookie": SecurityScheme(
        type="apiKey",
        name=access_token_cookie(secure=True),
        security_scheme_in="cookie",
        description="The access token in a cookie, where tokens travel so; plain"
        f" `{access_token_cookie(secure=False)}` over HTTP.",
    ),
    "refreshTokenCookie": SecurityScheme(
        type="apiKey",
        name=SECURE_REFRESH_TOKEN_COOKIE,
        security_scheme_in="cookie",
        description="The refresh token in a cookie, where tokens travel so.",
    ),
    "client": SecurityScheme(
        type="http",
        scheme="basic",
        description="A client that IDENTITY_INTROSPECTION_CLIENTS names.",
    ),
}


def _header(description: str, schema: JsonSchema) -> Header:
    return Header(description=description, param_schema=Schema.model_validate(schema))


def _text(most: int, example: str) -> JsonSchema:
    return {"type": "string", "maxLength": most, "examples": [example]}


_HEADERS: Final = {
    "X-Request-Id": _header("The request's id.", _text(64, "0123456789abcdef01234567")),
    "Access-Control-Allow-Origin": _header(
        "The page's origin, if it may read the response; `*` where every page may.",
        _text(255, "https://app.example"),
    ),
    "RateLimit": _header(
        "What is left of the limit, where the operator has set one.",
        _text(255, '"/api/auth";r=599;t=1'),
    ),
    "RateLimit-Policy": _header(
        "The limit: requests in seconds.", _text(255, '"/api/auth";q=600;w=60')
    ),
    "Retry-After": _header(
        "Seconds until it may be tried again.",
        {"type": "integer", "format": "int32", "minimum": 1, "maximum": 2_592_000},
    ),
    "WWW-Authenticate": _header(
        "What is missing (RFC 6750).", _text(512, 'Bearer error="invalid_token"')
    ),
    "Content-Language": _header("The language of the message.", _text(16, "en")),
    hdrs.ETAG: _header("For If-None-Match.", _text(128, '"0123456789abcdef"')),
    "Cache-Control": _header("How long it may be stored.", _text(128, "no-cache")),
    "Location": _header("Where it is now.", _text(2048, "/api/roles/editor")),
}


class _Document:
    """Gathers what the operations have in common while their paths are made."""

    def __init__(self) -> None:
        everything = (*IDENTITY, *CONTENT)
        self.schemas = schemas_of(
            [
                (ProblemBody, "serialization"),
                *((each.body, "validation") for each in everything if each.body),
                *((each.query, "validation") for each in everything if each.query),
                *(
                    (reply.model, "serialization")
                    for each in everything
                    for reply in each.replies
                    if reply.model
                ),
            ]
        )
        self.problems: dict[str, Problem] = {}

    def paths(self) -> dict[str, PathItem]:
        """Return every path with its operations."""
        found: dict[str, dict[str, ApiOperation]] = defaultdict(dict)
        for operation in IDENTITY:
            described = self._operation(operation, (accounts.TEMPORARILY_UNAVAILABLE,))
            found[_path(operation)][operation.method.lower()] = described
        for operation in CONTENT:
            described = self._operation(operation)
            found[_path(operation)][operation.method.lower()] = described
        for operation in PAGES:
            found[operation.path]["get"] = self._page(operation)
        return {path: PathItem(**methods) for path, methods in found.items()}

    def _page(self, operation: Operation) -> ApiOperation:
        problems = [*EVERY_REQUEST, *operation.problems]
        return self._described(operation, problems, None)

    def _operation(
        self, operation: Operation, further: Sequence[Problem] = ()
    ) -> ApiOperation:
        problems = [*problems_of(operation), *further]
        return self._described(operation, problems, _route(_path(operation)))

    def _described(
        self,
        operation: Operation,
        problems: Iterable[Problem],
        route: RouteConfig | None,
    ) -> ApiOperation:
        refused = {each.code: each for each in problems}
        self.problems |= refused
        return ApiOperation(
            tags=[operation.tag.value],
            summary=operation.summary,
            description="\n\n".join(_sentences(operation, route)) or None,
            operationId=_camel(operation.name),
            parameters=[*_path_parameters(operation), *self._query(operation)] or None,
            requestBody=self._body(operation),
            responses={
                **{
                    str(int(each.status)): self._reply(each)
                    for each in operation.replies
                },
                **self._refusals(refused.values()),
            },
            security=_security(operation),
        )

    def _query(self, operation: Operation) -> Iterable[Parameter]:
        if operation.query is None:
            return
        schema = self.schemas[operation.query.__name__]
        for name, member in schema["properties"].items():
            described = dict(member)
            yield Parameter(
                name=name,
                **{"in": "query"},
                description=described.pop("description", None),
                required=name in schema.get("required", ()),
                param_schema=Schema.model_validate(_not_null(described)),
            )

    def _body(self, operation: Operation) -> RequestBody | None:
        if operation.body is None:
            return None
        required = self.schemas[operation.body.__name__].get("required")
        return RequestBody(
            # No body is an empty one, whose members are missing. The generator of
            # Python clients forgets an import where one of two types is required.
            required=bool(required) and len(operation.body_types) == 1,
            content={
                each: self._content(operation.body) for each in operation.body_types
            },
        )

    def _content(self, model: type) -> MediaType:
        schema = self.schemas[model.__name__]
        return MediaType(
            media_type_schema=Reference(
                **{"$ref": f"#/components/schemas/{model.__name__}"}
            ),
            example=example_of(schema, self.schemas),
        )

    def _reply(self, reply: Reply) -> Response:
        content = None
        if reply.media_type is not None:
            shown = (
                self._content(reply.model)
                if reply.model is not None
                else MediaType(
                    media_type_schema=Schema.model_validate(
                        {"type": "object"}
                        if reply.media_type == JSON
                        else {"type": "string", "maxLength": 2_097_152}
                    ),
                    example=reply.example,
                )
            )
            content = {reply.media_type: shown}
        return Response(
            description=_phrase(reply.status),
            headers=_headers(*reply.headers),
            content=content,
        )

    def _refusals(self, problems: Iterable[Problem]) -> dict[str, Response]:
        by_status: dict[HTTPStatus, list[Problem]] = defaultdict(list)
        for each in sorted(problems, key=lambda each: (each.status, each.code)):
            by_status[each.status].append(each)
        return {
            str(int(status)): self._refusal(status, each)
            for status, each in by_status.items()
        }

    def _refusal(self, status: HTTPStatus, problems: Sequence[Problem]) -> Response:
        told = {name for each in problems for name in each.headers if name in _HEADERS}
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            told.add("Retry-After")
        return Response(
            description=_phrase(status),
            headers=_headers("Content-Language", *sorted(told)),
            content={
                MEDIA_TYPE: MediaType(
                    media_type_schema=Reference(
                        **{"$ref": "#/components/schemas/ProblemBody"}
                    ),
                    examples={
                        each.code: Reference(
                            **{"$ref": f"#/components/examples/{each.code}"}
                        )
                        for each in problems
                    },
                )
            },
        )


def document() -> OpenAPI:
    """Return the document."""
    made = _Document()
    paths = made.paths()
    queries = {each.query.__name__ for each in IDENTITY if each.query}
    return OpenAPI(
        openapi="3.1.1",
        info=Info(
            title="Gatehouse",
            version=version("gateway-service"),
            summary="Sign-in and access to resources behind one gateway",
            description=_DESCRIPTION,
            license=License(name="MIT", identifier="MIT"),
        ),
        servers=[
            Server.model_validate(
                {
                    "url": "/",
                    "description": "production: the gateway that serves this document",
                    "x-internal": False,
                }
            )
        ],
        tags=[ApiTag(name=each.value, description=each.description) for each in Tag],
        paths=paths,
        components=Components(
            schemas={
                name: Schema.model_validate(schema)
                for name, schema in made.schemas.items()
                if name not in queries
            },
            headers=_HEADERS,
            examples={
                code: example_of_problem(problem)
                for code, problem in sorted(made.problems.items())
            },
            securitySchemes=_SCHEMES,
        ),
    )


def text() -> str:
    """Return the file's text."""
    return (
        document().model_dump_json(
            by_alias=True, exclude_none=True, exclude_unset=True, indent=1
        )
        + "\n"
    )


def _path(operation: Operation) -> str:
    """Return the path as OpenAPI has it: without regular expressions."""
    return re.sub(r"\{(\w+):(?:[^{}]|\{[^{}]*\})*\}", r"{\1}", operation.path)


def _patterns(path: str) -> dict[str, str]:
    """Return the regular expression of each part that varies, if it has one."""
    return dict(re.findall(r"\{(\w+):((?:[^{}]|\{[^{}]*\})*)\}", path))


def _route(path: str) -> RouteConfig:
    """Return the route of the gateway that a path takes."""
    matching = [
        each for each in _ROUTES if f"{path}/".startswith(f"{each.prefix.rstrip('/')}/")
    ]
    return max(matching, key=lambda each: len(each.prefix))


def _sentences(operation: Operation, route: RouteConfig | None) -> Iterable[str]:
    if operation.description:
        yield operation.description
    if operation.access.role is not None:
        yield f"For users with the role `{operation.access.role}`."
    if route is not None and route.rate_limit is not None:
        limit = route.rate_limit
        yield f"A client has {limit.requests} requests in {limit.seconds} seconds."
    if route is not None and operation.body is not None:
        yield f"At most {route.body_limit} bytes."


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    access = operation.access
    roles = [] if access.role is None else [access.role]
    required = [dict.fromkeys(each, roles) for each in _SECURITY[access.credentials]]
    if operation.body is not None and operation.body.__name__ == "RefreshTokenPayload":
        return [*required, {"refreshTokenCookie": []}]
    return required


def _path_parameters(operation: Operation) -> Iterable[Parameter]:
    patterns = _patterns(operation.path)
    for name in re.findall(r"\{([a-z_]+)", operation.path):
        about = operation.path_parameters[name]
        yield Parameter(
            name=name,
            **{"in": "path"},
            required=True,
            description=about.description,
            example=about.example,
            param_schema=Schema.model_validate(_schema(about, patterns.get(name))),
        )


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


def _headers(*names: str) -> dict[str, Header | Reference]:
    everywhere = (
        "X-Request-Id",
        "Access-Control-Allow-Origin",
        "RateLimit",
        "RateLimit-Policy",
    )
    return {
        name: Reference(**{"$ref": f"#/components/headers/{name}"})
        for name in (*everywhere, *names)
    }


def _phrase(status: HTTPStatus) -> str:
    return f"{status.phrase}."


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(each.title() for each in others)


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
