"""Read the gateway's configuration: one TOML file, and the environment over it."""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from gateway_service.config import rules
from gateway_service.config.model import Config, Timeouts, UpstreamConfig
from gateway_service.config.sections import ConfigError, Faults
from gateway_service.config.tables import ROUTE, TIMEOUTS, UPSTREAM, WHOLE
from gateway_service.config.toml_lines import TomlLines
from service_kit.settings import comma_list


def _list(text: str) -> list[str]:
    return list(comma_list(text))


def _yes_or_no(text: str) -> bool | str:
    return {"true": True, "false": False}.get(text.lower(), text)


VARIABLES: Final[Mapping[str, tuple[tuple[str, ...], Callable[[str], object]]]] = {
    "GATEWAY_ALLOWED_ORIGINS": (("cors", "origins"), _list),
    "GATEWAY_ALLOW_CREDENTIALS": (("cors", "credentials"), _yes_or_no),
    "GATEWAY_TRUSTED_PROXIES": (("trusted_proxies",), _list),
    "GATEWAY_RATE_LIMIT_STORE": (("rate_limit_store",), str),
}
"""What the environment may override: the value of the file, and how it is read."""

UPSTREAM_VARIABLE: Final = "GATEWAY_UPSTREAM_"
"""With an upstream's name: a comma list that replaces its addresses."""


def read_config(path: Path, environ: Mapping[str, str]) -> Config:
    """Return the configuration.

    Raises
    ------
    ConfigError
        With one line for each fault: `file:line: key reason`.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not UTF-8"
        raise ConfigError([f"{path}: cannot be read: {reason}"]) from None
    return parse_config(text, str(path), environ)


def parse_config(text: str, name: str, environ: Mapping[str, str]) -> Config:
    """Return the configuration in `text`, which stands in the file `name`."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([_syntax_fault(name, str(error))]) from None
    faults = Faults(name, TomlLines(text))
    _override(document, environ, faults)
    config = _assemble(document, faults)
    if config is not None:
        _check_together(config, faults)
    if config is None or faults.found:
        raise ConfigError(faults.found)
    return config


def _syntax_fault(name: str, message: str) -> str:
    """Put the place where tomllib saw the fault where the other faults have it."""
    line = re.search(r"at line (\d+)", message)
    reason = message.partition(" (at ")[0]
    return f"{name}:{line[1]}: {reason}" if line else f"{name}: {reason}"


def _override(
    document: dict[str, Any], environ: Mapping[str, str], faults: Faults
) -> None:
    """Put the environment's values in the place of the file's."""
    for variable in sorted(environ):
        path, read = VARIABLES.get(variable, ((), _list))
        if variable.startswith(UPSTREAM_VARIABLE):
            path = _addresses_of(document, variable)
        elif not path:
            continue
        if not environ[variable]:
            continue
        if not path:
            faults.found.append(f"{variable}: names no upstream of the file")
            continue
        table = document
        for key in path[:-1]:
            table = table.setdefault(key, {})
            if not isinstance(table, dict):
                break  # the file's fault will be found where it stands
        else:
            table[path[-1]] = read(environ[variable])
            faults.override(path, variable)


def _addresses_of(document: Mapping[str, Any], variable: str) -> tuple[str, ...]:
    upstreams = document.get("upstreams")
    wanted = variable.removeprefix(UPSTREAM_VARIABLE)
    for name in upstreams if isinstance(upstreams, dict) else ():
        if name.upper().replace("-", "_") == wanted:
            return ("upstreams", name, "addresses")
    return ()


def _assemble(document: dict[str, Any], faults: Faults) -> Config | None:
    """Read every table; those that others inherit from come first."""
    timeouts = TIMEOUTS.read(document.pop("timeouts", {}), ("timeouts",), faults)
    upstreams = _upstreams(document.pop("upstreams", {}), faults)
    tables = document.pop("routes", [])
    config = WHOLE.read(document, (), faults, upstreams=upstreams, routes=())
    if not isinstance(tables, list):
        faults.add(("routes",), "must be tables, each headed [[routes]]")
        return None
    defaults = {
        "body_limit": (config or Config((), ())).limits.body,
        "timeouts": timeouts or Timeouts(),
    }
    routes = [
        ROUTE.read(table, ("routes", index), faults, **defaults)
        for index, table in enumerate(tables)
    ]
    if config is None or faults.found:
        return None
    return replace(config, routes=tuple(route for route in routes if route))


def _upstreams(tables: object, faults: Faults) -> tuple[UpstreamConfig, ...]:
    if not isinstance(tables, dict):
        faults.add(("upstreams",), "must be tables, each headed [upstreams.name]")
        return ()
    found = []
    for name, table in tables.items():
        path = ("upstreams", name)
        try:
            rules.name(name)
        except ValueError as error:
            faults.add(path, str(error))
        upstream = UPSTREAM.read(table, path, faults, name=name)
        if upstream is not None:
            found.append(upstream)
    return tuple(found)


def _check_together(config: Config, faults: Faults) -> None:
    """Note what no value shows alone."""
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
