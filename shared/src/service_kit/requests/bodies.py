"""Read a request's body within bounds, and parse it strictly."""

import asyncio
from dataclasses import replace
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import hdrs, web

from service_kit.languages.text import Text
from service_kit.problems import ProblemError, common
from service_kit.strict_json import parse_object

_READ_SECONDS: Final = 10
"""aiohttp has no limit of its own for a body that stalls."""

_MOST_FIELDS: Final = 100
_MAX_DEPTH: Final = 32

FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"
JSON_OR_FORM: Final = (JSON, FORM)


def invalid_body(message: str) -> ProblemError:
    """Return the refusal of a body that cannot be read."""
    return ProblemError(replace(common.INVALID_BODY, message=message))


def unsupported_media_type(accepted: tuple[str, ...]) -> ProblemError:
    """Return the refusal of a body of another media type, which names those there are.

    The field Accept says so to programs (RFC 9110 section 15.5.16).
    """
    names: object = accepted[0]
    if accepted == JSON_OR_FORM:
        names = Text("{one} or {other}", {"one": JSON, "other": FORM})
    problem = common.UNSUPPORTED_MEDIA_TYPE.with_parameters(accepted=names)
    return ProblemError(replace(problem, headers={hdrs.ACCEPT: ", ".join(accepted)}))


async def read_members(
    request: web.Request, *, form: bool = False
) -> dict[str, object]:
    """Return the members of a JSON object, or of a form where ``form`` allows it.

    An absent body counts as an empty object. A field that a form repeats becomes
    a list. Every string can be encoded as UTF-8.

    Raises `ProblemError`: 400 for anything that is not an object or a form, 415 for
    another media type or a compressed body, 408 for a body that does not arrive in
    time.
    """
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ProblemError(common.UNSUPPORTED_CONTENT_ENCODING)
    raw = await _read(request)
    if not raw.strip():
        return {}
    accepted = JSON_OR_FORM if form else (JSON,)
    if request.content_type not in accepted:
        raise unsupported_media_type(accepted)
    return _parse_form(raw) if request.content_type == FORM else _parse_json(raw)


async def _read(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(_READ_SECONDS):
            return await request.read()
    except TimeoutError:
        raise ProblemError(common.BODY_TIMEOUT) from None
    except (web.RequestPayloadError, ConnectionError, ValueError):
        # A client that is gone gets no response, but causes no traceback either.
        raise invalid_body("The body could not be read.") from None


def _parse_json(raw: bytes) -> dict[str, object]:
    try:
        return parse_object(raw, max_depth=_MAX_DEPTH)
    except ValueError:  # UnicodeError and JSONDecodeError are ValueErrors
        raise invalid_body("The body is not a valid JSON object.") from None


def _is_json(raw: bytes) -> bool:
    """Return whether this is a JSON object, regardless of its Content-Type."""
    if not raw.lstrip().startswith(b"{"):
        return False
    try:
        return bool(parse_object(raw, max_depth=_MAX_DEPTH))
    except ValueError:
        return False


def _parse_form(raw: bytes) -> dict[str, object]:
    if _is_json(raw):
        raise ProblemError(common.JSON_SENT_AS_FORM)
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
