"""The running system keeps what its document says: judged by tools from outside."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from tests.e2e.api_document.conftest import ADMINS, PASSWORD
from tests.reference.api.document import FILE
from tests.reference.api.routes import ROOT
from tests.support.node import installed
from tests.support.stack import Stack

HERE: Final = Path(__file__).parent

_LONGEST_JUDGEMENT_SECONDS: Final = 600
"""Several times what it takes on quiet cores; `SEED` has it send other requests."""


@pytest.mark.faults
@pytest.mark.timeout(_LONGEST_JUDGEMENT_SECONDS + 240)
def test_schemathesis_finds_nothing(stack: Stack, tmp_path: Path) -> None:
    found = subprocess.run(
        [
            *(Path(sys.executable).parent / "st", "--config-file"),
            *(HERE / "schemathesis.toml", "run", FILE, "--url", stack.base_url),
            *("--phases", "examples,coverage,fuzzing,stateful"),
            *("--max-examples", "5", "--seed", os.environ.get("SEED", "1")),
            *("--max-time", str(_LONGEST_JUDGEMENT_SECONDS)),
            *("--workers", "1", "--no-color", "--no-shrink"),
            "--continue-on-failure",
        ],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(HERE),
            "SCHEMATHESIS_HOOKS": "hooks",
            "API_URL": stack.base_url,
            "API_PASSWORD": PASSWORD,
            "API_ADMINS": " ".join(ADMINS),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout[-20_000:]
    for phase in ("Examples", "Coverage", "Fuzzing", "Stateful"):
        assert f"✅ {phase}" in found.stdout, "there was no time for all phases"


@pytest.mark.timeout(300)
def test_spectral_reports_no_error() -> None:
    folder = installed(HERE / "tools")
    shutil.copy(ROOT / ".spectral.yaml", folder)
    program = folder / "node_modules" / ".bin" / "spectral"
    found = subprocess.run(
        [program, "lint", "--ruleset", ".spectral.yaml", "--fail-severity=error", FILE],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout[-5_000:]


@pytest.mark.timeout(300)
def test_a_typescript_client_is_made_and_used(stack: Stack) -> None:
    folder = installed(HERE / "tools")
    shutil.copy(HERE / "tools" / "walk.ts", folder)
    document = f"{stack.base_url}/openapi.json"
    for command in (
        ["openapi-typescript", document, "-o", "gatehouse.d.ts"],
        [
            *("tsc", "--strict", "--module", "nodenext", "--target", "es2022"),
            *("--skipLibCheck", "walk.ts"),
        ],
    ):
        program = folder / "node_modules" / ".bin" / command[0]
        subprocess.run([program, *command[1:]], cwd=folder, check=True)
    walked = subprocess.run(
        ["node", "walk.js", stack.base_url],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(walked.stdout) == [
        "User registered successfully!",
        ["ROLE_USER"],
        "typed@example.com",
        "User Content.",
        "insufficient_scope",
    ]


def test_a_python_client_is_made_and_used(stack: Stack, tmp_path: Path) -> None:
    binaries = Path(sys.executable).parent
    subprocess.run(
        [
            *(binaries / "openapi-python-client", "generate"),
            *("--url", f"{stack.base_url}/openapi.json"),
            *("--config", HERE / "tools" / "openapi-python-client.yml"),
            *("--output-path", tmp_path / "gatehouse_client", "--meta", "none"),
        ],
        env={**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}"},
        check=True,
    )
    walked = subprocess.run(
        [sys.executable, HERE / "tools" / "walk.py", stack.base_url],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert walked.returncode == 0, walked.stderr
    assert json.loads(walked.stdout) == [
        ["ROLE_USER"],
        "client@example.com",
        "User Content.",
        "insufficient_scope",
    ]
