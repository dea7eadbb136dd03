"""`make new-service`: what it writes passes what the tree demands of every service."""

import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

import pytest
from tests.support.walkthrough import write_files

ROOT: Final = Path(__file__).parents[2]
PORTS: Final = {"port": 8003, "internal_port": 9003}
CHECKS: Final = (
    *("tests/notes", "tests/deploy/test_compose_file.py"),
    *("tests/deploy/test_kubernetes.py", "tests/deploy/test_production_override.py"),
    *("tests/deploy/test_locks.py", "tests/deploy/test_observability.py"),
)
OF_THE_PRODUCT: Final = (
    "tests/architecture/test_problems.py"
    "::test_problems_are_declared_in_the_registry_alone"
)
"""What the product demands of itself, and not of services beside it."""


def _run(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=tree,
        env={
            **{k: v for k, v in os.environ.items() if k != "TEST_COMPLETE"},
            "PYTHONPATH": f"{tree / 'services/notes/src'}:{tree / 'shared/src'}",
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree with a service that was made there."""
    tree = tmp_path_factory.mktemp("new-service") / "tree"
    for name in ("deploy", "docs", "services", "tests", "gateway", "shared"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tree / name, ignore=ignored)
    for name in (
        *("pyproject.toml", "Makefile", "docker-compose.yml"),
        *(".dockerignore", ".env.example"),
    ):
        shutil.copy(ROOT / name, tree)
    made = _run(tree, "deploy.new_service", "notes")
    assert made.returncode == 0, made.stderr
    return tree


def test_it_stands_in_every_file_that_names_services(tree: Path) -> None:
    services = tomllib.loads((tree / "deploy/services.toml").read_text("utf-8"))
    assert list(services) == ["identity", "content", "notes", "gateway"]
    assert services["notes"] == PORTS
    gateway = tomllib.loads((tree / "deploy/gateway.toml").read_text("utf-8"))
    assert gateway["routes"][-1] == {"prefix": "/api/notes", "upstream": "notes"}
    assert gateway["upstreams"]["notes"]["health"] == {"path": "/readyz", "port": 9003}
    for name in ("observability/alerts.yml", "k8s/components/monitoring/alerts.yaml"):
        alerts = (tree / "deploy" / name).read_text("utf-8")
        assert 'absent(up{job="notes"})' in alerts, "nobody scrapes it: it is down"


def test_its_own_tests_and_those_of_the_deployment_pass(tree: Path) -> None:
    ran = _run(tree, "pytest", "-q", *CHECKS)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_it_is_in_the_house_style(tree: Path) -> None:
    for command in (["check"], ["format", "--check"]):
        ran = _run(tree, "ruff", *command, "services/notes", "tests/notes")
        assert ran.returncode == 0, ran.stdout


def test_what_the_guide_adds_to_it_passes_as_well(tree: Path, tmp_path: Path) -> None:
    shutil.copytree(tree, tmp_path / "tree")
    tree = tmp_path / "tree"
    write_files((ROOT / "docs/guides/notes.md").read_text("utf-8"), tree)
    for command in (
        ("pytest", "-q", "tests/notes", OF_THE_PRODUCT),
        ("ruff", "check", "services/notes", "tests/notes"),
        ("ruff", "format", "--check", "services/notes", "tests/notes"),
    ):
        ran = _run(tree, *command)
        assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("name", "words"),
    [("content", "already"), ("No-Name", "letters"), ("class", "letters"), ("", "say")],
)
def test_a_name_that_cannot_be_is_one_line(tree: Path, name: str, words: str) -> None:
    ran = _run(tree, "deploy.new_service", *([name] if name else []))
    assert ran.returncode == 1
    assert words in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_a_name_of_two_words_is_one_name() -> None:
    """Which make, as it is told to here, prints and does not run."""
    command = ["make", "--dry-run", "--old-file=setup", "new-service", "NAME=my notes"]
    printed = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    [words] = [line for line in printed.splitlines() if "deploy.new_service" in line]
    assert shlex.split(words)[-1] == "my notes"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("network", id="a manifest"),
        pytest.param("faults", id="a folder of tests"),
        pytest.param("dev", id="a lock"),
        pytest.param("mysql", id="a container"),
        pytest.param("test", id="a route"),
        pytest.param("auth", id="above a route"),
    ],
)
def test_a_name_that_the_product_uses_changes_nothing(tree: Path, name: str) -> None:
    before = _contents(tree)
    ran = _run(tree, "deploy.new_service", name)
    assert ran.returncode == 1
    assert "another name, please" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert _contents(tree) == before


def test_a_second_one_is_made_beside_the_first(tree: Path) -> None:
    made = _run(tree, "deploy.new_service", "photos")
    assert made.returncode == 0, made.stderr
    services = tomllib.loads((tree / "deploy/services.toml").read_text("utf-8"))
    assert {"notes", "photos"} <= services.keys()
    renew = (tree / "deploy/compose/renew").read_text("utf-8")
    assert "identity | content | photos | notes)" in renew


def _contents(tree: Path) -> dict[Path, bytes]:
    return {
        path: path.read_bytes()
        for path in tree.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
