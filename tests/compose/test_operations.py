"""The commands of docs/operations.md, run exactly as they stand there."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from tests.support.containers import ROOT, Containers, engine_answers
from tests.support.missing import skip_missing

pytestmark = [pytest.mark.compose, pytest.mark.faults, pytest.mark.timeout(900)]

DOCUMENT: Final = (ROOT / "docs" / "operations.md").read_text()
BLOCKS: Final = re.findall(r"^```sh\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Containers]:
    """The tree as somebody gets it, in a folder of its own."""
    if not engine_answers():
        skip_missing("no Docker engine with Compose v2 answers here")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True)
    tree = tmp_path / "gatehouse"
    for name in filter(None, names.stdout.split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tree / name)
    started = Containers(tree)
    try:
        yield started
    finally:
        started.down()


def test_somebody_gets_from_nothing_to_a_rotated_key(installation: Containers) -> None:
    assert len(BLOCKS) == 6
    for block in BLOCKS:
        installation.run("bash", "-euo", "pipefail", "-c", block)
    production = installation.compose("config")
    assert "https://accounts.example.net" in production
    audit = installation.compose("exec", "-T", "identity", "service", "verify-audit")
    assert "unbroken" in audit
    python = ("exec", "-T", "identity", "python3", "-c")
    names = installation.compose(*python, ADMINISTRATORS)
    assert names.split() == ["admin"], "the first admin was restored"


ADMINISTRATORS: Final = """
import asyncio, pathlib
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

async def main():
    url = pathlib.Path("/run/secrets/database-url").read_text()
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        for (name,) in await connection.execute(text("SELECT username FROM users")):
            print(name)
    await engine.dispose()

asyncio.run(main())
"""
