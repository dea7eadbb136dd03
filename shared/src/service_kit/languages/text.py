"""Texts for people, in the language of the reader."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ENGLISH: Final = "en"

CATALOGUES: Final[Mapping[str, Mapping[str, str]]] = {
    path.stem: tomllib.loads(path.read_text("utf-8"))
    for path in sorted(Path(__file__).parent.glob("*.toml"))
}
"""By language: the translation of each English template. A further language is a
further file beside this one; a test names the templates that it lacks."""

LANGUAGES: Final = (ENGLISH, *CATALOGUES)

_UNITS: Final = (
    ("{amount} days", 86_400),
    ("{amount} hours", 3600),
    ("{amount} minutes", 60),
)
"""With their lengths in seconds."""


@dataclass(frozen=True, slots=True)
class Text:
    """An English template with ``{name}`` for each of its parameters.

    The template is a constant. What strangers say stands in parameters alone, which
    are never read as templates. A `Text` among them is translated as well, and so are
    those of a tuple, one sentence after the other.
    """

    template: str
    parameters: Mapping[str, object] = field(default_factory=dict)

    def in_language(self, language: str) -> str:
        """Return the text in a language, or in English where it is not translated."""
        catalogue = CATALOGUES.get(language, {})
        template = catalogue.get(self.template, self.template)
        if not self.parameters:
            return template
        return template.format_map(
            {
                name: _in_language(value, language)
                for name, value in self.parameters.items()
            }
        )

    def is_in(self, language: str) -> bool:
        """Return whether the text has a translation into a language."""
        return language == ENGLISH or self.template in CATALOGUES.get(language, {})

    def __str__(self) -> str:
        """Return the text in English."""
        return self.in_language(ENGLISH)


def _in_language(value: object, language: str) -> object:
    if isinstance(value, Text):
        return value.in_language(language)
    if isinstance(value, tuple):
        return " ".join(str(_in_language(each, language)) for each in value)
    return value


def duration(seconds: int) -> Text:
    """Return a duration in one unit, never shorter than it is."""
    for template, size in _UNITS:
        if seconds >= 2 * size:
            return Text(template, {"amount": -(-seconds // size)})
    if seconds == 1:
        return Text("1 second")
    return Text("{amount} seconds", {"amount": seconds})
