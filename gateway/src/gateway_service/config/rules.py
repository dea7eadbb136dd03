"""Rules that say which values a configuration key accepts."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Generic, TypeVar

from service_kit.settings import boolean, comma_list

HOUR: Final = 3600
DAY: Final = 86_400
MEBIBYTE: Final = 1_048_576

_CREDENTIALS: Final = re.compile(r"(?<=^.)([\w+.-]+://)?.*@")
"""What stands before a host, in no fault: it may be a password."""

T = TypeVar("T")
E = TypeVar("E", bound=Enum)


@dataclass(frozen=True, slots=True)
class Rule(Generic[T]):
    """What one key accepts, in words and in code."""

    allowed: str
    """Completes the sentence "must be …"."""
    convert: Callable[[Any], T | None]
    """Return the field's value, or None for a value that is not allowed."""
    from_text: Callable[[str], object] = str
    """Turn an environment variable into the value that the file would have."""

    def read(self, value: object) -> T:
        """Return the field's value; ValueError says what it must be."""
        result = self.convert(value)
        if result is None:
            raise ValueError(f"must be {self.allowed}")
        return result


def _literal(text: str) -> object:
    """Return the number that a text spells, or the text."""
    try:
        return json.loads(text.lower())
    except ValueError:
        return text


def whole(least: int, most: int) -> Rule[int]:
    """Accept whole numbers from `least` to `most`."""
    return Rule(
        f"a whole number from {least} to {most}",
        lambda value: value if type(value) is int and least <= value <= most else None,
        _literal,
    )


def number(least: float, most: float) -> Rule[float]:
    """Accept numbers from `least` to `most`."""

    def convert(value: Any) -> float | None:  # noqa: ANN401 - whatever the file says
        is_number = type(value) in {int, float}
        return float(value) if is_number and least <= value <= most else None

    return Rule(f"a number from {least:g} to {most:g}", convert, _literal)


def zero_or(rule: Rule[float], meaning: float) -> Rule[float]:
    """Accept what `rule` accepts, and 0, which stands for `meaning`."""
    return Rule(
        f"{rule.allowed}, or 0",
        lambda value: (
            meaning if value is not False and value == 0 else rule.convert(value)
        ),
        rule.from_text,
    )


def word(pattern: str, allowed: str) -> Rule[str]:
    """Accept strings that `pattern` matches as a whole."""
    matches = re.compile(pattern).fullmatch
    return Rule(
        allowed,
        lambda value: value if isinstance(value, str) and matches(value) else None,
    )


def choice(kind: type[E]) -> Rule[E]:
    """Accept the values of an Enum."""
    members = {member.value: member for member in kind}
    return Rule(
        " or ".join(map(repr, members)),
        lambda value: members.get(value) if isinstance(value, str) else None,
    )


def each(rule: Rule[T], *, least: int = 0) -> Rule[tuple[T, ...]]:
    """Accept arrays of at least `least` entries that all pass `rule`, none twice."""

    def convert(value: object) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise ValueError("must be an array")  # noqa: TRY004 - a fault, not a bug
        entries = tuple(entry_of(entry) for entry in value)
        if len(set(entries)) != len(entries):
            raise ValueError("names something twice")
        if len(entries) < least:
            raise ValueError(f"must have at least {least} entry")
        return entries

    def entry_of(value: object) -> T:
        entry = rule.convert(value)
        if entry is None:
            shown = _CREDENTIALS.sub(r"\1…@", repr(value))
            raise ValueError(f"must be {rule.allowed}; {shown} is not")
        return entry

    return Rule(rule.allowed, convert, lambda text: list(comma_list(text)))


def a_set(rule: Rule[T]) -> Rule[frozenset[T]]:
    """Accept arrays of distinct entries whose order has no meaning."""
    entries = each(rule)
    return Rule(
        entries.allowed, lambda value: frozenset(entries.read(value)), entries.from_text
    )


yes_or_no = Rule(
    "true or false", lambda value: value if isinstance(value, bool) else None, boolean
)
