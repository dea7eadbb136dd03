"""Write docs/reference/gateway-configuration.md from the declarations of the keys."""

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gateway_service.config.reference import KeyReference, SectionReference, sections

PAGE: Final = (
    Path(__file__).parents[1] / "docs" / "reference" / "gateway-configuration.md"
)
_WIDTH: Final = 118
_HEAD: Final = """\
# Configuration keys of the gateway

`make docs` writes this page from `gateway/src/gateway_service/config/`.
[gateway.md](../gateway.md) is the guide. Sizes are bytes, durations are seconds.
The value in parentheses is the default.
"""


def page() -> str:
    """Return the page."""
    return "\n".join((_HEAD, *(_section(each) for each in sections())))


def _section(section: SectionReference) -> str:
    heading = f"`{section.name}`" if section.name else "Top level"
    return "\n".join(
        (f"## {heading}\n", *_paragraphs(section), "", *_keys(section), "")
    )


def _paragraphs(section: SectionReference) -> Iterator[str]:
    for text in section.description.split("\n\n"):
        yield textwrap.fill(text, _WIDTH, break_on_hyphens=False)


def _keys(section: SectionReference) -> Iterator[str]:
    for key in section.keys:
        yield textwrap.fill(
            _sentence(key),
            _WIDTH,
            initial_indent="- ",
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )


def _sentence(key: KeyReference) -> str:
    default = key.default if key.default in {"required", "none"} else f"`{key.default}`"
    text = f"`{key.name}` ({default}): {key.description}. Must be {key.allowed}."
    if not key.variable:
        return text
    file = f", or a file that `{key.variable}_FILE` names," if key.is_secret else ""
    return f"{text} `{key.variable}`{file} overrides it."


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), "utf-8")
