"""Code that docs/verifying-tokens.md shows, for tests that run it."""

import re
from pathlib import Path
from typing import Final

_DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "verifying-tokens.md"


def documented(heading: str, language: str) -> str:
    """Return the first block of code under a heading of the document."""
    _, _, part = _DOCUMENT.read_text("utf-8").partition(f"\n## {heading}\n")
    found = re.search(rf"```{language}\n(.*?)```", part, re.DOTALL)
    assert found is not None
    return found[1]
