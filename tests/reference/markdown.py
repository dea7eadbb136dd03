"""Markdown of the reference pages, wrapped."""

import textwrap
from typing import Final

_WIDTH: Final = 118


def paragraph(text: str) -> str:
    """Return a paragraph."""
    return textwrap.fill(text, _WIDTH, break_on_hyphens=False)


def item(text: str) -> str:
    """Return an item of a list."""
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent="- ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
