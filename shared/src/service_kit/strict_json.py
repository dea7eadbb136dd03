"""Untrusted JSON, parsed so strictly that no two parsers can differ about it."""

import json
import math
import re
from typing import Any, Final, NoReturn

MAX_DEPTH: Final = 8
"""Containers inside each other, by default. A token needs three, a JWKS four."""

_MAX_DIGITS: Final = 19
"""Enough for a signed 64-bit number; longer ones cost quadratic time to read."""

_WHITESPACE: Final = " \t\n\r"
"""JSON's own (RFC 8259 section 2), fewer than Python's."""

_STRING_OR_BRACKET: Final = re.compile(
    r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL
)
"""An unterminated string takes all that follows: searching for its end again after each
quote would take quadratic time."""


def parse_object(untrusted: bytes, *, max_depth: int = MAX_DEPTH) -> dict[str, Any]:
    """Return the one JSON object that the bytes spell.

    UTF-8 alone, without a byte order mark; no member twice, no NaN or infinity, no
    number beyond 64 bits, no lone surrogate, no deeper nesting (RFC 7493; RFC 8725
    section 3.7, RFC 7519 section 4).

    Raises `ValueError`: it is anything else.
    """
    text = untrusted.decode("utf-8", "strict").strip(_WHITESPACE)
    if _is_deep(text, max_depth):
        raise ValueError("nested too deep")
    value, end = _DECODER.raw_decode(text)
    if end != len(text):
        raise ValueError("more than one value")
    if "\\u" in text:  # without escapes UTF-8 has no lone surrogates
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004 - one error for every refusal
    return value


def _is_deep(text: str, max_depth: int) -> bool:
    """Return whether containers nest deeper than that, before anything recurses."""
    if text.count("{") + text.count("[") <= max_depth:
        return False
    depth = 0
    for found in _STRING_OR_BRACKET.finditer(text):
        match found[0]:
            case "{" | "[":
                depth += 1
                if depth > max_depth:
                    return True
            case "}" | "]":
                depth -= 1
            case _:
                pass  # a string, whose brackets do not count
    return False


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _int(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError("number too long")
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("number too large")
    return number


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_int,
    parse_float=_float,
    parse_constant=_constant,
)
