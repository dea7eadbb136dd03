"""Describe every configuration key, for the reference page and its test."""

import inspect
import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from gateway_service.config.keys import Key, Nested, Shape, keys_of
from gateway_service.config.model import Config
from gateway_service.config.rules import Rule


@dataclass(frozen=True, slots=True)
class KeyReference:
    """What an operator may know of one key."""

    name: str
    default: str
    """As the file spells it, the key it is inherited from, `required` or `none`."""
    allowed: str
    """Completes the sentence "must be …"; of an array, each entry must."""
    description: str
    variable: str
    """The environment variable that overrides it; empty if there is none."""
    is_secret: bool
    """Whether the variable with `_FILE` appended may name a file that has it."""


@dataclass(frozen=True, slots=True)
class SectionReference:
    """One table of the file."""

    name: str
    """`[limits]`, `[[routes]]`, `[upstreams.<name>]`; empty for the top level."""
    description: str
    keys: tuple[KeyReference, ...]


def sections() -> list[SectionReference]:
    """Return every table of the file, in order of declaration."""
    return list(_sections(Config, "", ""))


def _sections(kind: type, path: str, name: str) -> Iterator[SectionReference]:
    keys = keys_of(kind)
    described = tuple(_key(each, key) for each, key in keys.items() if key.description)
    yield SectionReference(name, inspect.getdoc(kind) or "", described)
    for each, key in keys.items():
        here = f"{path}.{each}".lstrip(".")
        match key.content:
            case Nested(inner, Shape.TABLE) if not key.inherits:
                yield from _sections(inner, here, f"[{here}]")
            case Nested(inner, Shape.ARRAY):
                yield from _sections(inner, here, f"[[{here}]]")
            case Nested(inner, Shape.NAMED):
                here = f"{here}.<name>"
                yield from _sections(inner, here, f"[{here}]")
            case _:
                pass


def _key(name: str, key: Key) -> KeyReference:
    allowed = key.content.allowed if isinstance(key.content, Rule) else "a table"
    return KeyReference(
        name, _default(key), allowed, key.description, key.variable, key.is_secret
    )


def _default(key: Key) -> str:
    if key.inherits:
        return key.inherits
    if key.default is None:
        return "required"
    value = key.default()
    return "none" if value is None else json.dumps(value, default=_as_written)


def _as_written(value: Any) -> object:  # noqa: ANN401 - whatever a field holds
    return value.value if isinstance(value, Enum) else sorted(value)
