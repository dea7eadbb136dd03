"""The reference page of the gateway's configuration file, from its declarations."""

import inspect
import json
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, Final, NamedTuple

from tests.reference.markdown import item, paragraph

from gateway_service.config.keys import Key, Nested, Shape, keys_of
from gateway_service.config.model import Config
from gateway_service.config.rules import Rule

_HEAD: Final = """\
# Configuration keys of the gateway

`make docs` writes this page from `gateway/src/gateway_service/config/`.
[gateway.md](../gateway.md) is the guide. Sizes are bytes, durations are seconds.
The value in parentheses is the default.
"""


class Section(NamedTuple):
    """One table of the file."""

    name: str
    """`[limits]`, `[[routes]]`, `[upstreams.<name>]`; empty for the top level."""
    description: str
    keys: Mapping[str, Key]


def page() -> str:
    """Return the text of gateway-configuration.md."""
    return "\n".join((_HEAD, *map(_section, sections())))


def sections(kind: type = Config, path: str = "", name: str = "") -> Iterator[Section]:
    """Yield every table of the file, in order of declaration."""
    keys = keys_of(kind)
    described = {each: key for each, key in keys.items() if key.description}
    yield Section(name, inspect.getdoc(kind) or "", described)
    for each, key in keys.items():
        here = f"{path}.{each}".lstrip(".")
        match key.content:
            case Nested(inner, Shape.TABLE) if not key.inherits:
                yield from sections(inner, here, f"[{here}]")
            case Nested(inner, Shape.ARRAY):
                yield from sections(inner, here, f"[[{here}]]")
            case Nested(inner, Shape.NAMED):
                here = f"{here}.<name>"
                yield from sections(inner, here, f"[{here}]")
            case _:
                pass


def default_of(key: Key) -> str:
    """Return a default as the file spells it, or the key it is inherited from."""
    if key.inherits:
        return key.inherits
    if key.default is None:
        return "required"
    value = key.default()
    return "none" if value is None else json.dumps(value, default=_as_written)


def _as_written(value: Any) -> object:  # noqa: ANN401 - whatever a field holds
    return value.value if isinstance(value, Enum) else sorted(value)


def _section(section: Section) -> str:
    heading = f"`{section.name}`" if section.name else "Top level"
    paragraphs = map(paragraph, section.description.split("\n\n"))
    keys = (item(_sentence(name, key)) for name, key in section.keys.items())
    return "\n".join((f"## {heading}\n", *paragraphs, "", *keys, ""))


def _sentence(name: str, key: Key) -> str:
    default = default_of(key)
    shown = default if default in {"required", "none"} else f"`{default}`"
    allowed = key.content.allowed if isinstance(key.content, Rule) else "a table"
    text = f"`{name}` ({shown}): {key.description}. Must be {allowed}."
    if not key.variable:
        return text
    file = f", or a file that `{key.variable}_FILE` names," if key.is_secret else ""
    return f"{text} `{key.variable}`{file} overrides it."
