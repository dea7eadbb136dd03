"""Read the gateway's configuration: one TOML file, and the environment over it."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from gateway_service.config.faults import ConfigError, Faults
from gateway_service.config.keys import NAME, Nested, Shape, keys_of
from gateway_service.config.model import UPSTREAM_VARIABLE, Config
from gateway_service.config.reader import Reader
from gateway_service.config.rules import Rule
from gateway_service.config.toml_lines import Path as KeyPath
from gateway_service.config.toml_lines import TomlLines
from service_kit.files import read_file
from service_kit.settings import read_secret

_PART: Final = r"""(?:[\w-]++|"(?:\\.|[^"\\\n])*+"?|'[^'\n]*+'?)"""
_DOT: Final = r"[ \t]*+\.[ \t]*+"
_TOKEN: Final = re.compile(
    r"""#.*|"{3}(?:\\[\s\S]|[^\\])*?(?:"{3}|\Z)|'{3}[\s\S]*?(?:'{3}|\Z)|"""
    rf"{_PART}(?:{_DOT}{_PART}){{0,99}}+(?P<too_many>{_DOT})?",
    re.ASCII,
)
"""Comments, long strings, keys and other values: only keys have many parts.

For a key `tomllib` takes the square of its parts: of 50,000, half a minute.
"""


def read_config(path: Path, environ: Mapping[str, str]) -> Config:
    """Return the configuration.

    Raises `ConfigError`: with one line for each fault: `file:line: key reason`.
    """
    try:
        text = read_file(path).decode("utf-8-sig")  # drops a byte order mark
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not UTF-8"
        raise ConfigError([f"{path}: cannot be read: {reason}"]) from None
    return parse_config(text, str(path), environ)


def variables(config: Config) -> list[str]:
    """Return the names of the variables that override values of this configuration."""
    upstreams: dict[str, object] = {each.name: {} for each in config.upstreams}
    document = {"upstreams": upstreams}
    return [name for name, _ in _variables(Config, document)]


def parse_config(text: str, name: str, environ: Mapping[str, str]) -> Config:
    """Return the configuration in `text`, the content of the file `name`."""
    for token in _TOKEN.finditer(text):
        if token["too_many"]:
            line = text.count("\n", 0, token.start()) + 1
            raise ConfigError([f"{name}:{line}: has a key of more than 100 parts"])
    try:
        document = tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, or of a number that is too long
        last_line = text.removesuffix("\n").count("\n") + 1
        raise ConfigError([_syntax_fault(name, str(error), last_line)]) from None
    except RecursionError:
        raise ConfigError([f"{name}: has values nested too deeply"]) from None
    faults = Faults(name, TomlLines(text))
    _override(document, environ, faults)
    config = Reader(faults).read(Config, document)
    if config is not None and not faults.found:
        _check_together(config, faults)
    if config is None or faults.found:
        raise ConfigError(faults.found)
    return config if config.rate_limits else _without_limits(config)


def _syntax_fault(name: str, message: str, last_line: int) -> str:
    """Put the line of a tomllib message where the other faults have it."""
    message = message.replace("at end of document", f"at line {last_line}")
    line = re.search(r"at line (\d+)", message)
    reason = message.partition(" (at ")[0]
    return f"{name}:{line[1]}: {reason}" if line else f"{name}: {reason}"


def _override(
    document: dict[str, Any], environ: Mapping[str, str], faults: Faults
) -> None:
    """Replace values of the file by the environment's."""
    found = list(_variables(Config, document))
    known = dict(found)
    for variable in sorted(filter(environ.get, environ)):
        if sum(name == variable for name, _ in found) > 1:
            faults.found.append(f"{variable}: names two upstreams of the file")
        elif variable in known:
            path, rule = known[variable]
            try:
                value = rule.from_text(environ[variable])
            except ValueError as error:
                faults.found.append(f"{variable}: {error}")
                continue
            if _replace(document, path, value) and not faults.override(path, variable):
                faults.found.append(f"{variable}: is set twice, with and without _FILE")
        elif variable.startswith(UPSTREAM_VARIABLE.removesuffix(NAME)):
            faults.found.append(f"{variable}: names no upstream of the file")


def _variables(
    kind: type, document: object, path: KeyPath = (), table_name: str = ""
) -> Iterator[tuple[str, tuple[KeyPath, Rule[Any]]]]:
    """Yield each variable that overrides a table's values, and which one it does."""
    tables = document if isinstance(document, dict) else {}
    for name, key in keys_of(kind).items():
        here = (*path, name)
        match key.content:
            case Nested(inner, Shape.TABLE):
                yield from _variables(inner, tables.get(name), here, table_name)
            case Nested(inner, Shape.NAMED) if isinstance(tables.get(name), dict):
                for each, table in tables[name].items():
                    yield from _variables(inner, table, (*here, each), each)
            case Rule() as rule if key.variable:
                spelled = table_name.upper().replace("-", "_")
                variable = key.variable.replace(NAME, spelled)
                yield variable, (here, rule)
                if key.is_secret:
                    yield f"{variable}_FILE", (here, _in_a_file(rule))


def _in_a_file(rule: Rule[Any]) -> Rule[Any]:
    """Return the rule of a variable that names a file with the value."""
    return replace(rule, from_text=lambda name: rule.from_text(read_secret(Path(name))))


def _replace(document: dict[str, Any], path: KeyPath, value: object) -> bool:
    """Set a value, unless the file has something else where its table belongs."""
    table: Any = document
    for key in path[:-1]:
        table = table.setdefault(key, {})
        if not isinstance(table, dict):
            return False  # the reader finds this fault where it stands
    table[path[-1]] = value
    return True


def _without_limits(config: Config) -> Config:
    routes = tuple(replace(route, rate_limit=None) for route in config.routes)
    return replace(config, routes=routes)


def _check_together(config: Config, faults: Faults) -> None:
    """Record the faults that no value shows alone."""
    if not config.routes:
        faults.add(("routes",), "names no route")
    names = {upstream.name for upstream in config.upstreams}
    seen: set[str] = set()
    for index, route in enumerate(config.routes):
        if route.upstream not in names:
            faults.add(
                ("routes", index, "upstream"),
                f"is {route.upstream!r}, which is no upstream of the file",
            )
        if route.prefix.rstrip("/") in seen:
            faults.add(("routes", index, "prefix"), f"{route.prefix} stands twice")
        seen.add(route.prefix.rstrip("/"))
    for upstream in config.upstreams:
        if upstream.ejection.longest < upstream.ejection.first:
            path = ("upstreams", upstream.name, "ejection", "longest")
            faults.add(path, "must not be less than first")
    if config.limits.headers < config.limits.header_field:
        faults.add(("limits", "headers"), "must not be less than header_field")
