"""Declare configuration keys on dataclasses, each with its rule and its description.

One declaration of a key is what the reader, the environment's overrides and the
reference page are made from.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass
from enum import Enum, auto
from typing import Any, Final, cast

from gateway_service.config.rules import Rule

NAME: Final = "<NAME>"
"""Stands for a table's name in a variable: upper case, `-` as `_`."""

_METADATA: Final = "key"


class Shape(Enum):
    """How a key holds tables."""

    TABLE = auto()
    """`[key]`: one table."""
    ARRAY = auto()
    """`[[key]]`: any number of tables."""
    NAMED = auto()
    """`[key.name]`: any number of tables, each with a name of its own."""


@dataclass(frozen=True, slots=True)
class Nested:
    """The tables of one key, and the dataclass that each becomes."""

    kind: type
    shape: Shape


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of one key."""

    content: Rule[Any] | Nested
    description: str = ""
    inherits: str = ""
    """The key of the whole file whose value stands in for this one."""
    variable: str = ""
    """The environment variable that overrides the file."""
    is_secret: bool = False
    """Whether the variable's name with `_FILE` may name a file that has the value."""
    default: Callable[[], Any] | None = None
    """Make the value of a key that is absent; None: the key is required."""


def value(
    rule: Rule[Any],
    description: str,
    *,
    default: Any = MISSING,  # noqa: ANN401 - of the field's type
    inherits: str = "",
    variable: str = "",
    is_secret: bool = False,
) -> Any:  # noqa: ANN401 - stands in for a field of any type
    """Declare a field that holds one value of the file."""
    make = None if default is MISSING else lambda: default
    declared = Key(rule, description, inherits, variable, is_secret, make)
    return dataclasses.field(default=default, metadata={_METADATA: declared})


def table(
    kind: type, description: str = "", *, inherits: str = "", is_optional: bool = False
) -> Any:  # noqa: ANN401 - stands in for a field of any type
    """Declare a field that holds one table, by default with its own defaults."""
    make = (lambda: None) if is_optional else kind
    return _tables(Key(Nested(kind, Shape.TABLE), description, inherits, default=make))


def array_of(kind: type) -> Any:  # noqa: ANN401 - stands in for a field of any type
    """Declare a field that holds any number of tables, as a tuple."""
    return _tables(Key(Nested(kind, Shape.ARRAY), default=tuple))


def named(kind: type) -> Any:  # noqa: ANN401 - stands in for a field of any type
    """Declare a field that holds named tables, as a tuple in which each has `name`."""
    return _tables(Key(Nested(kind, Shape.NAMED), default=tuple))


def _tables(declared: Key) -> Any:  # noqa: ANN401 - stands in for a field of any type
    factory = cast("Callable[[], Any]", declared.default)
    return dataclasses.field(default_factory=factory, metadata={_METADATA: declared})


def keys_of(kind: Any) -> Mapping[str, Key]:  # noqa: ANN401 - a dataclass
    """Return the keys of a table, in order of declaration."""
    return {
        each.name: each.metadata[_METADATA]
        for each in dataclasses.fields(kind)
        if _METADATA in each.metadata
    }
