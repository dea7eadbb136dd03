"""The commands of docs/operations.md and docs/runbooks.md, run as they stand there."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from tests.support.containers import ROOT, Containers, engine_answers
from tests.support.missing import skip_missing

pytestmark = [pytest.mark.compose, pytest.mark.faults, pytest.mark.timeout(1800)]

BLOCK: Final = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS: Final = BLOCK.findall((ROOT / "docs" / "operations.md").read_text())
RUNBOOKS: Final = (ROOT / "docs" / "runbooks.md").read_text()
LEAKED: Final = {
    "A leaked database password": "database-url",
    "A leaked password of Valkey": "throttle-url",
}
"""Runbooks, and the secret that each of them replaces."""


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


def test_somebody_gets_from_nothing_to_rotated_secrets(
    installation: Containers,
) -> None:
    assert len(BLOCKS) == 6
    for block in BLOCKS:
        pasted(installation, block)
    production = installation.compose("config")
    assert "https://accounts.example.net" in production
    audit = installation.compose("exec", "-T", "identity", "service", "verify-audit")
    assert "unbroken" in audit
    python = ("exec", "-T", "identity", "python3", "-c")
    names = installation.compose(*python, ADMINISTRATORS)
    assert names.split() == ["admin"], "the first admin was restored"
    for runbook, secret in LEAKED.items():
        file = installation.root / "deploy" / "secrets" / secret
        leaked = file.read_text()
        assert reaches(installation, leaked)
        section = RUNBOOKS.partition(f"### {runbook}\n")[2].partition("\n### ")[0]
        [block] = BLOCK.findall(section)
        pasted(installation, block)
        assert not reaches(installation, leaked)
        assert reaches(installation, file.read_text())


def pasted(installation: Containers, block: str) -> None:
    installation.run("bash", "-euo", "pipefail", "-c", block)


def reaches(installation: Containers, url: str) -> bool:
    """Whether a URL opens what it names, asked where identity is."""
    done = installation.compose(
        *("exec", "-T", "identity", "python3", "-c", REACHES), stdin=url
    )
    return done.strip() == "open"


REACHES: Final = """
import asyncio, sys
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import create_async_engine
from valkey.asyncio import Valkey
from valkey.exceptions import AuthenticationError

async def main(url):
    try:
        if url.startswith("valkey:"):
            async with Valkey.from_url(url) as store:
                await store.ping()
        else:
            engine = create_async_engine(url)
            async with engine.connect():
                pass
            await engine.dispose()
        print("open")
    except (AuthenticationError, OperationalError):
        print("refused")

asyncio.run(main(sys.stdin.read()))
"""


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
