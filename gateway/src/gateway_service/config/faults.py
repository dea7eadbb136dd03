"""Faults of a configuration, each with its place."""

import json
import re
from typing import Final

from gateway_service.config.toml_lines import Path, TomlLines

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
"""A key that needs no quotes."""


class ConfigError(Exception):
    """The configuration cannot be used; `faults` names every reason."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(faults)
        self.faults = faults

    def __str__(self) -> str:
        return "; ".join(self.faults)


class Faults:
    """Collects the faults of one file."""

    def __init__(self, file_name: str, lines: TomlLines) -> None:
        self.found: list[str] = []
        self._file_name = file_name
        self._lines = lines
        self._variables: dict[Path, str] = {}

    def override(self, path: Path, variable: str) -> bool:
        """Name an environment variable, not a line, in faults of a value.

        False if another one has overridden it already.
        """
        return self._variables.setdefault(path, variable) == variable

    def add(self, path: Path, reason: str) -> None:
        """Record a fault of the value at `path`."""
        line = self._lines.find(path)
        place = self._file_name if line is None else f"{self._file_name}:{line}"
        place = self._variables.get(path, place)
        self.found.append(f"{place}: {spell(path)} {reason}")


def spell(path: Path) -> str:
    """Return a path as people write it: `routes[2].prefix`, `upstreams."a b"`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if _BARE.fullmatch(part) else f".{json.dumps(part)}"
    return text.lstrip(".")
