"""The resource that docs/content.md adds, added to a copy of the tree."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
_COPIED: Final = (
    "pyproject.toml",
    "services/content/src",
    "tests/conftest.py",
    "tests/support",
    "tests/content/conftest.py",
)
_FILE: Final = re.compile(r"```python\n# (\S+)\n(.*?)```", re.DOTALL)
_PATCH: Final = re.compile(r"```diff\n(.*?)```", re.DOTALL)


def copy_tree(to: Path) -> None:
    for name in _COPIED:
        target = to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target)
        else:
            shutil.copy(ROOT / name, target)


def test_the_documented_resource_can_be_added(tmp_path: Path) -> None:
    document = (ROOT / "docs/content.md").read_text("utf-8")
    copy_tree(tmp_path)
    files = _FILE.findall(document)
    for name, text in files:
        (tmp_path / name).write_text(text, "utf-8")
    for patch in _PATCH.findall(document):
        subprocess.run(
            ["git", "apply", "-"], cwd=tmp_path, input=patch, text=True, check=True
        )
    (test,) = [name for name, _ in files if name.startswith("tests/")]

    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", test],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "services/content/src")},
        check=False,
        capture_output=True,
        text=True,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " passed" in ran.stdout
