"""Read tables of the configuration into dataclasses, every fault noted."""

import dataclasses
import difflib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass
from typing import Any, Generic, TypeVar

from gateway_service.config.toml_lines import Path, TomlLines

T = TypeVar("T")

Rule = Callable[[object], Any]
"""Turns a value of the file into the field's; ValueError says what it must be."""


class ConfigError(Exception):
    """The configuration cannot be used; `faults` names every reason."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class Faults:
    """Collects what is wrong with one file."""

    def __init__(self, name: str, lines: TomlLines) -> None:
        self.found: list[str] = []
        self._name = name
        self._lines = lines
        self._variables: dict[Path, str] = {}

    def override(self, path: Path, variable: str) -> None:
        """Note that an environment variable, not the file, gives a value."""
        self._variables[path] = variable

    def add(self, path: Path, reason: str) -> None:
        """Note a fault of the value at `path`."""
        line = self._lines.find(path)
        place = self._name if line is None else f"{self._name}:{line}"
        place = self._variables.get(path, place)
        self.found.append(f"{place}: {spell(path)} {reason}")


def spell(path: Path) -> str:
    """Return a path as people write it: `routes[2].prefix`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".")


@dataclass(frozen=True, slots=True)
class Section(Generic[T]):
    """How one table becomes one dataclass: a rule for each key."""

    type: Callable[..., T]
    rules: Mapping[str, "Rule | Section[Any]"]

    def read(
        self, table: object, path: Path, faults: Faults, **defaults: object
    ) -> T | None:
        """Return the dataclass, or None with the faults noted.

        A key that the table lacks has its value from `defaults`, or is left to the
        dataclass's own default.
        """
        if not isinstance(table, dict):
            faults.add(path, "must be a table")
            return None
        before = len(faults.found)
        values = dict(defaults)
        for key, value in table.items():
            rule = self.rules.get(key)
            if rule is None:
                faults.add((*path, key), f"is unknown{self._meant(key)}")
            elif isinstance(rule, Section):
                inner = self._inner_defaults(key, values)
                values[key] = rule.read(value, (*path, key), faults, **inner)
            else:
                try:
                    values[key] = rule(value)
                except ValueError as error:
                    faults.add((*path, key), str(error))
        for name in sorted(self._required() - values.keys() - table.keys()):
            faults.add((*path, name), "is missing")
        return self.type(**values) if len(faults.found) == before else None

    @staticmethod
    def _inner_defaults(key: str, values: Mapping[str, Any]) -> dict[str, object]:
        """Return what a table within replaces: the values it has by default."""
        inherited = values.get(key)
        if not dataclasses.is_dataclass(inherited):
            return {}
        return {
            each.name: getattr(inherited, each.name)
            for each in dataclasses.fields(inherited)
        }

    def _required(self) -> set[str]:
        return {
            each.name
            for each in dataclasses.fields(self.type)  # type: ignore[arg-type]
            if each.default is MISSING
            and each.default_factory is MISSING
            and each.name in self.rules
        }

    def _meant(self, key: str) -> str:
        close = difflib.get_close_matches(key, self.rules, n=1)
        return f"; is {close[0]} meant?" if close else ""
