"""Compose files that are given together with the stack's own."""

import json
import os
import subprocess
from pathlib import Path
from typing import Final

import pytest
from tests.support.containers import engine_answers
from tests.support.missing import skip_missing

pytestmark = pytest.mark.compose

ROOT: Final = Path(__file__).parents[2]
FILE: Final = ROOT / "deploy" / "mail" / "compose.yml"


def test_compose_takes_the_mail_catchers_file() -> None:
    if not engine_answers():
        skip_missing("no Docker engine with Compose answers")
    files = ("-f", ROOT / "docker-compose.yml", "-f", FILE)
    shown = subprocess.run(
        ["docker", "compose", *files, "config", "--format", "json"],
        cwd=ROOT,
        env={name: os.environ[name] for name in ("PATH", "HOME")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    services = json.loads(shown.stdout)["services"]
    assert services["identity"]["environment"]["IDENTITY_MAIL_URL"]
    assert set(services["mail"]["networks"]) <= set(services["identity"]["networks"])
