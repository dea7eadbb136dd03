"""The fields of responses."""

from typing import Final

from aiohttp import hdrs
from openapi_pydantic import Header, Reference, Schema
from tests.reference.api.schemas import JsonSchema, reference


def _header(description: str, schema: JsonSchema) -> Header:
    return Header(description=description, param_schema=Schema.model_validate(schema))


def _text(most: int, example: str) -> JsonSchema:
    return {"type": "string", "maxLength": most, "examples": [example]}


HEADERS: Final = {
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

_EVERYWHERE: Final = (
    "X-Request-Id",
    "Access-Control-Allow-Origin",
    "RateLimit",
    "RateLimit-Policy",
)


def headers_of(*names: str) -> dict[str, Header | Reference]:
    """Return the fields of every response, and some more."""
    return {name: reference("headers", name) for name in (*_EVERYWHERE, *names)}
