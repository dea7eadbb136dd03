"""Find the line of each key in a TOML text, which `tomllib` does not report."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

Path = tuple[str | int, ...]
"""The keys and array positions that lead to a value: `("routes", 2, "prefix")`."""

_KEY: Final = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_DOTTED: Final = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_HEADER: Final = re.compile(rf"\s*(\[\[?)\s*({_DOTTED})\s*\]\]?")
_ASSIGNMENT: Final = re.compile(rf"\s*({_DOTTED})\s*=")
_MULTI_LINE: Final = re.compile(r'"""|\'\'\'')


class TomlLines:
    """Finds the line of a key, or of the nearest table around it.

    It expects a text that `tomllib` accepts, and looks only for table headers and for
    keys at the start of a line; what an inline table holds is found with its owner.
    """

    def __init__(self, text: str) -> None:
        self._lines: dict[Path, int] = {}
        self._counts: dict[Path, int] = {}
        table: Path = ()
        for number, line in _outside_of_strings(text):
            if header := _HEADER.match(line):
                table = self._table(header[1], _keys(header[2]))
                self._lines.setdefault(table, number)
            elif assignment := _ASSIGNMENT.match(line):
                keys = _keys(assignment[1])
                for depth in range(1, len(keys) + 1):
                    self._lines.setdefault((*table, *keys[:depth]), number)

    def find(self, path: Path) -> int | None:
        """Return the line, counted from 1, or None if even the table is absent."""
        while path:
            if path in self._lines:
                return self._lines[path]
            path = path[:-1]
        return None

    def _table(self, bracket: str, keys: Sequence[str]) -> Path:
        """Return the path of a header; each `[[…]]` is the next of its array."""
        path: Path = ()
        for depth, key in enumerate(keys, start=1):
            path = (*path, key)
            if bracket == "[[" and depth == len(keys):
                self._counts[path] = self._counts.get(path, -1) + 1
            if path in self._counts:
                path = (*path, self._counts[path])
        return path


def _keys(dotted: str) -> list[str]:
    return [key.strip("\"'") for key in re.findall(_KEY, dotted)]


def _outside_of_strings(text: str) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines that do not begin within a multi-line string."""
    within: str | None = None
    for number, line in enumerate(text.split("\n"), start=1):
        if within is None:
            yield number, line
        for quotes in _MULTI_LINE.findall(line):
            within = None if within == quotes else within or quotes
