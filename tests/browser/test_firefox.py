"""Every page of the console in Debian's Firefox, which Playwright cannot drive."""

import importlib.resources
import json
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest
from tests.support.missing import skip_missing
from tests.support.node import installed
from tests.support.stack import Stack

PROGRAM: Final = Path(__file__).parent / "firefox"
AXE: Final = importlib.resources.files("axe_playwright_python") / "axe.min.js"


@pytest.fixture(scope="module")
def firefox() -> str:
    found = shutil.which("firefox-esr") or shutil.which("firefox")
    if found is None:
        skip_missing("no Firefox is installed")
    return found


@pytest.mark.timeout(400)
def test_firefox_finds_nothing_wrong_with_any_page(
    firefox: str, tmp_path: Path
) -> None:
    program = installed(PROGRAM)
    with Stack(tmp_path, host="localhost") as stack:
        finished = subprocess.run(
            [
                *("node", "walk.mjs", firefox, stack.base_url),
                *(stack.admin_name, stack.admin_password, str(AXE)),
            ],
            cwd=program,
            env={**stack.environment, "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert finished.returncode == 0, finished.stderr
    walked = json.loads(finished.stdout)
    assert walked["faults"] == []
    assert {"Sign up", "Resources", "Users", "Gateway"} <= set(walked["seen"])
