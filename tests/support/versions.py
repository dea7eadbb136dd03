"""Earlier versions of the packages, from the history of this repository."""

import io
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]


def sources_at(commit: str, folder: Path) -> Path:
    """Return the packages as they were at a commit; skip where it is not here."""
    archive = subprocess.run(
        ["git", "archive", commit, "shared/src", "services/identity/src"],
        cwd=ROOT,
        check=False,
        capture_output=True,
    )
    if archive.returncode != 0:
        if os.environ.get("CI"):
            pytest.fail(f"CI must have the history back to {commit}")
        pytest.skip(f"the history back to {commit} is not here")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as sources:
        sources.extractall(folder, filter="data")
    return folder


def python_path(sources: Path) -> str:
    """Return the PYTHONPATH by which identity runs from these sources."""
    paths = (sources / "shared/src", sources / "services/identity/src")
    return os.pathsep.join(map(str, paths))
