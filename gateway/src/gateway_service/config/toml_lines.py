"""Find the line of each key in a TOML text, which `tomllib` does not report."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from typing import Final

Path = tuple[str | int, ...]
"""The keys and array positions that lead to a value: `("routes", 2, "prefix")`."""

_KEY: Final = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_DOTTED: Final = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_HEADER: Final = re.compile(rf"\s*(\[\[?)\s*({_DOTTED})\s*\]\]?")
_ASSIGNMENT: Final = re.compile(rf"\s*({_DOTTED})\s*=")
_TOKEN: Final = re.compile(
    r"""
    "{3}(?:[^\\]|\\.)*?"{3,5} | '{3}.*?'{3,5} | "(?:[^"\\]|\\.)*" | '[^']*'
    | \#[^\n]* | [\[\]{}\n]
    """,
    re.DOTALL | re.VERBOSE,
)
"""Strings and comments, which hold what they like; brackets and line ends."""

_OPENING: Final = frozenset("[{")
_CLOSING: Final = frozenset("]}")


class TomlLines:
    """Finds the line of a key, or of the nearest table around it.

    It expects a text that `tomllib` accepts, and looks only for table headers and for
    keys at the start of a line; what an inline table holds is found with its owner.
    """

    def __init__(self, text: str) -> None:
        self._lines: dict[Path, int] = {}
        self._counts: dict[Path, int] = {}
        table: Path = ()
        for number, line in _own_lines(text):
            if header := _HEADER.match(line):
                table = self._table(header[1], _keys(header[2]))
                for depth in range(1, len(table)):
                    self._lines.setdefault(table[:depth], number)
                self._lines[table] = number  # rather than a header that implies it
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
    return [_unquoted(key) for key in re.findall(_KEY, dotted)]


def _unquoted(key: str) -> str:
    return str(tomllib.loads(f"key = {key}")["key"]) if key[0] in "\"'" else key


def _own_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines that do not begin within a string or an array."""
    lines = text.split("\n")
    number, depth = 1, 0
    yield number, lines[0]
    for found in map(re.Match.group, _TOKEN.finditer(text)):
        number += found.count("\n")
        depth += found in _OPENING
        depth -= found in _CLOSING
        if found == "\n" and not depth:
            yield number, lines[number - 1]
