"""Read a request's body within bounds, and parse it strictly."""

import asyncio
import json
from dataclasses import replace
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

from service_kit.problems import ProblemError, common

_READ_SECONDS: Final = 10
"""aiohttp has no limit of its own for a body that stalls."""

_MOST_FIELDS: Final = 100
_DEEPEST: Final = 32
_LONGEST_NUMBER: Final = 32

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
    return parse_json_object(raw)


async def _read(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(_READ_SECONDS):
            return await request.read()
    except TimeoutError:
        raise ProblemError(common.BODY_TIMEOUT) from None
    except (web.RequestPayloadError, ConnectionError, ValueError):
        # A client that is gone reads no answer, but leaves no traceback either.
        raise invalid_body("The body could not be read.") from None


def parse_json_object(raw: bytes) -> dict[str, object]:
    """Return the members of a JSON object, strictly (RFC 8259, I-JSON RFC 7493).

    Refused with 400: anything but UTF-8, a byte order mark, duplicate members,
    NaN and Infinity, huge numbers, deep nesting, lone surrogates, other values
    than an object.
    """
    try:
        text = raw.decode("utf-8")
        if _nesting(text) > _DEEPEST:
            raise ValueError("nested too deeply")  # noqa: TRY301 - one refusal for all
        parsed = json.loads(
            text,
            object_pairs_hook=_without_duplicates,
            parse_constant=_refuse,
            parse_int=_whole_number,
            parse_float=_real_number,
        )
        json.dumps(parsed, ensure_ascii=False).encode("utf-8")
    except ValueError:  # UnicodeError and JSONDecodeError are ValueErrors
        raise invalid_body("The body is not valid JSON.") from None
    if not isinstance(parsed, dict):
        raise invalid_body("The body is not a JSON object.")
    return parsed


def _nesting(text: str) -> int:
    """Return an upper bound of the nesting, cheaply and without recursion."""
    return min(text.count("[") + text.count("{"), _deepest(text))


def _deepest(text: str) -> int:
    depth = deepest = 0
    for character in text:
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


def _whole_number(digits: str) -> int:
    if len(digits) > _LONGEST_NUMBER:
        raise ValueError("number too long")
    return int(digits)


def _real_number(digits: str) -> float:
    if len(digits) > _LONGEST_NUMBER:
        raise ValueError("number too long")
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError("number out of range")
    return number


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
