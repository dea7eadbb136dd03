"""Read the tables of a configuration into dataclasses, recording every fault."""

import difflib
from typing import Any, TypeVar, cast

from gateway_service.config import values
from gateway_service.config.faults import Faults
from gateway_service.config.keys import Key, Nested, Shape, keys_of
from gateway_service.config.rules import Rule
from gateway_service.config.toml_lines import Path

T = TypeVar("T")


class Reader:
    """Reads one document."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._whole: dict[str, Any] = {}
        """The values of the outermost table so far, which others inherit."""

    def read(
        self,
        kind: type[T],
        document: object,
        path: Path = (),
        *,
        base: T | None = None,
        **given: object,
    ) -> T | None:
        """Return a table as its dataclass, or None with its faults recorded.

        An absent key has the value of `base`, if there is one, or else its default.
        """
        if not isinstance(document, dict):
            self._faults.add(path, "must be a table")
            return None
        before = len(self._faults.found)
        keys = keys_of(kind)
        for name in document.keys() - keys.keys():
            close = difflib.get_close_matches(name, keys, n=1)
            hint = f"; is {close[0]} meant?" if close else ""
            self._faults.add((*path, name), f"is unknown{hint}")
        fields: dict[str, Any] = dict(given)
        if not path:
            self._whole = fields
        for name, key in keys.items():
            here = (*path, name)
            default = self._default(key) if base is None else getattr(base, name)
            if name in document:
                fields[name] = self._value(key, document[name], here, default)
            elif key.default is None:
                self._faults.add(here, "is missing")
            else:
                fields[name] = default
        return kind(**fields) if len(self._faults.found) == before else None

    def _default(self, key: Key) -> Any:  # noqa: ANN401 - of the field's type
        """Return the value that a key inherits, or its own default."""
        if key.inherits:
            table, _, name = key.inherits.partition(".")
            inherited = self._whole[table]
            if inherited is not None:  # None: the table inherited from has faults
                return getattr(inherited, name) if name else inherited
        return None if key.default is None else key.default()

    def _value(self, key: Key, value: object, path: Path, default: Any) -> Any:  # noqa: ANN401 - of the field's type
        match key.content:
            case Nested(kind, Shape.TABLE):
                return self.read(kind, value, path, base=default)
            case Nested(kind, Shape.ARRAY):
                return self._array(kind, value, path)
            case Nested(kind, Shape.NAMED):
                return self._named(kind, value, path)
            case Rule() as rule:
                return self._checked(rule, value, path)
            case _:
                raise AssertionError(key)

    def _checked(self, rule: Rule[T], value: object, path: Path) -> T | None:
        try:
            return rule.read(value)
        except ValueError as error:
            self._faults.add(path, str(error))
            return None

    def _array(self, kind: type[T], value: object, path: Path) -> tuple[T, ...]:
        if not isinstance(value, list):
            self._faults.add(path, f"must be tables, each headed [[{path[-1]}]]")
            return ()
        found = [
            self.read(kind, table, (*path, index)) for index, table in enumerate(value)
        ]
        return tuple(each for each in found if each is not None)

    def _named(self, kind: type[T], value: object, path: Path) -> tuple[T, ...]:
        if not isinstance(value, dict):
            self._faults.add(path, f"must be tables, each headed [{path[-1]}.name]")
            return ()
        found = []
        for name, table in cast("dict[str, object]", value).items():
            here = (*path, name)
            self._checked(values.name, name, here)
            found.append(self.read(kind, table, here, name=name))
        return tuple(each for each in found if each is not None)
