"""Public test vectors, read from the folder that TEST_CORPORA names."""

import json
import os
from pathlib import Path
from typing import Any

import pytest


def corpus(path: str) -> Any:  # noqa: ANN401 - whatever the file holds
    """Return the parsed JSON file at ``path``; skip where no folder is named."""
    folder = os.environ.get("TEST_CORPORA")
    if not folder:
        pytest.skip("TEST_CORPORA names no folder of test vectors; see CONTRIBUTING.md")
    return json.loads((Path(folder) / path).read_text("utf-8"))
