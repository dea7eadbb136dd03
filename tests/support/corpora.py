"""Public test vectors, read where they stand beside the project."""

import json
import os
from pathlib import Path
from typing import Any, Final

import pytest

_CORPORA: Final = Path(__file__).parents[3] / "shared" / "corpora"


def corpus(path: str) -> Any:  # noqa: ANN401 - whatever the file holds
    """Return the parsed JSON file at ``path``; skip where a clone stands alone."""
    file = _CORPORA / path
    if not file.exists() and not os.environ.get("CI"):
        pytest.skip(f"the test vectors are not beside this clone: {path}")
    return json.loads(file.read_text("utf-8"))
