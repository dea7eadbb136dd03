"""Add a gateway key to a copy of the tree, touching only what CONTRIBUTING names.

`tests.deploy.test_new_service` adds a resource likewise, `tests.e2e.test_make_up` a
role.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
SOURCES: Final = Path("gateway/src")
MODEL: Final = "gateway_service/config/model.py"
FRONT: Final = "gateway_service/console/front.py"

DECLARATION: Final = """\
    greeting: str = value(
        rules.word("[A-Za-z ]{1,40}", "up to 40 letters"),
        "what the front page says first",
        default="Gatehouse is running",
    )
"""
USE: Final = (
    'greeting="Gatehouse is running"',
    "greeting=escape(config.greeting)",
)
SHOW: Final = """
from pathlib import Path
from gateway_service.config.file import read_config
from gateway_service.console.front import front_page
from tests.reference.gateway_configuration import page
print(front_page(read_config(Path("gateway.toml"), {})).body.decode(), page())
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy in which the key is declared once and used once."""
    shutil.copytree(ROOT / SOURCES, tmp_path / SOURCES)
    for folder in ("deploy", "tests/reference"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    replace(
        tmp_path, MODEL, "    trusted_proxies:", f"{DECLARATION}    trusted_proxies:"
    )
    replace(tmp_path, FRONT, *USE)
    return tmp_path


def replace(tree: Path, module: str, old: str, new: str) -> None:
    file = tree / SOURCES / module
    text = file.read_text("utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), "utf-8")


def run(tree: Path, greeting: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the copy, with the product's configuration and a greeting."""
    config = (tree / "deploy" / "gateway.toml").read_text("utf-8")
    (tree / "gateway.toml").write_text(f'greeting = "{greeting}"\n{config}', "utf-8")
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=tree,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{tree / SOURCES}:{tree}",
            "GATEWAY_CONFIG": "gateway.toml",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_gateway_key_is_its_declaration_and_its_use(tree: Path) -> None:
    shown = run(tree, "Welcome home", "-c", SHOW)

    assert shown.returncode == 0, shown.stderr
    assert "<h1>Welcome home</h1>" in shown.stdout
    assert '- `greeting` (`"Gatehouse is running"`)' in shown.stdout
    assert "up to 40 letters" in shown.stdout


def test_a_fault_of_the_new_key_is_named_with_its_line(tree: Path) -> None:
    checked = run(tree, "<b>", "-m", "gateway_service", "check")

    assert checked.returncode != 0
    assert "gateway.toml:1" in checked.stdout + checked.stderr
    assert "greeting" in checked.stdout + checked.stderr
