"""Read a request's body within bounds, and parse it strictly."""

import asyncio
from dataclasses import replace
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

from service_kit.problems import ProblemError, common
from service_kit.strict_json import parse_object

_READ_SECONDS: Final = 10
"""aiohttp has no limit of its own for a body that stalls."""

_MOST_FIELDS: Final = 100
_MAX_DEPTH: Final = 32

FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"


def invalid_body(message: str) -> ProblemError:
    """Return the refusal of a body that cannot be read."""
    return ProblemError(replace(common.INVALID_BODY, message=message))


async def read_members(
    request: web.Request, *, form: bool = False
) -> dict[str, object]:
    """Return the members of a JSON object, or of a form where ``form`` allows it.

    An absent body counts as an empty object. A field that a form repeats becomes
    a list. Every string can be encoded as UTF-8.

    Raises
    ------
    ProblemError
        400 for anything that is not an object or a form, 415 for another media
        type or a compressed body, 408 for a body that does not arrive in time.
    """
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ProblemError(common.UNSUPPORTED_CONTENT_ENCODING)
    raw = await _read(request)
    if not raw.strip():
        return {}
    if form and request.content_type == FORM:
        return _parse_form(raw)
    if request.content_type != JSON:
        raise ProblemError(common.UNSUPPORTED_MEDIA_TYPE)
    return _parse_json(raw)


async def _read(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(_READ_SECONDS):
            return await request.read()
    except TimeoutError:
        raise ProblemError(common.BODY_TIMEOUT) from None
    except (web.RequestPayloadError, ConnectionError, ValueError):
        # A client that is gone reads no answer, but leaves no traceback either.
        raise invalid_body("The body could not be read.") from None


def _parse_json(raw: bytes) -> dict[str, object]:
    try:
        return parse_object(raw, max_depth=_MAX_DEPTH)
    except ValueError:  # UnicodeError and JSONDecodeError are ValueErrors
        raise invalid_body("The body is not a valid JSON object.") from None


def _parse_form(raw: bytes) -> dict[str, object]:
    try:
        pairs = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise invalid_body("The body is not a valid form.") from None
    members: dict[str, object] = {}
    for name, value in pairs:
        match members.get(name):
            case None:
                members[name] = value
            case list(values):
                values.append(value)
            case first:
                members[name] = [first, value]
    return members
