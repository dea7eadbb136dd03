"""The Makefile: what it offers, and what it says when a machine is not ready."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from deploy import setup_venv

ROOT: Final = Path(__file__).parents[2]
PROMISED: Final = {
    *("setup", "format", "lint", "types", "imports", "test", "check"),
    *("up", "down", "clean", "lock", "bench", "faults", "test-compose"),
}


def _make(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def _says(finished: subprocess.CompletedProcess[str]) -> str:
    """Return the one line that is not make's own."""
    assert finished.returncode != 0
    lines = [
        line for line in finished.stderr.splitlines() if not line.startswith("make: ")
    ]
    assert len(lines) == 1, finished.stderr
    assert "Traceback" not in finished.stdout
    return lines[0]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return what `make setup` reads, in a folder without an environment."""
    tree = tmp_path / "tree"
    shutil.copytree(ROOT / "deploy", tree / "deploy")
    shutil.copy(ROOT / "Makefile", tree)
    for package in ("shared", "services/identity", "services/content", "gateway"):
        (tree / package).mkdir(parents=True)
        shutil.copy(ROOT / package / "pyproject.toml", tree / package)
    return tree


def _python(folder: Path, line: str) -> Path:
    """Return a Python that runs ``line`` before what it is asked to run."""
    (folder / "sitecustomize.py").write_text(line)
    python = folder / "python3"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={folder} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return python


def test_make_alone_lists_every_target() -> None:
    finished = _make()
    assert finished.returncode == 0
    listed = set(re.findall(r"^  make (\S+)", finished.stdout, re.MULTILINE))
    assert listed >= PROMISED
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony
    assert listed == set(phony[1].split())


def test_check_runs_in_order_of_speed() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert "\ncheck: lint types imports test " in makefile


def test_a_tree_whose_path_has_a_space_is_left_alone_by_every_recipe(
    tmp_path: Path,
) -> None:
    """No recipe names the tree by an unquoted path: `rm -rf /my tree` removes /my."""
    tree = tmp_path / "my tree"
    tree.mkdir()
    shutil.copy(ROOT / "Makefile", tree)
    makefile = (tree / "Makefile").read_text()
    targets = re.findall(r"^([a-z0-9.-]+):.* ## ", makefile, re.MULTILINE)
    assert "compile" in targets
    for target in targets:
        dry_run = _make("--dry-run", target, folder=tree)
        assert dry_run.returncode == 0, dry_run.stderr
        quoted = re.sub(r'"[^"\n]*"', "", dry_run.stdout)
        assert str(tmp_path) not in quoted, target


def test_missing_python_is_one_line(tree: Path) -> None:
    said = _says(_make("setup", "PYTHON=/nowhere/python3", folder=tree))
    assert "no /nowhere/python3 here" in said


def test_old_python_is_one_line(tree: Path, tmp_path: Path) -> None:
    python = _python(tmp_path, "import sys; sys.version_info = (3, 9, 2)")
    said = _says(_make("setup", f"PYTHON={python}", folder=tree))
    assert "too old" in said
    assert "3.11" in said


def test_missing_venv_module_is_one_line(tree: Path, tmp_path: Path) -> None:
    line = (
        "import importlib.util as u; f = u.find_spec\n"
        "u.find_spec = lambda n, p=None: None if n == 'ensurepip' else f(n, p)"
    )
    python = _python(tmp_path, line)
    said = _says(_make("setup", f"PYTHON={python}", folder=tree))
    assert "python3-venv" in said
    assert not (tree / ".venv").exists()


def test_unwritable_folder_is_one_line(tree: Path, tmp_path: Path) -> None:
    # Said by os.access, because nothing is unwritable for root, who may run this.
    python = _python(tmp_path, "import os; os.access = lambda *_: False")
    said = _says(_make("setup", f"PYTHON={python}", folder=tree))
    assert f"cannot write to {tree}" in said
    assert not (tree / ".venv").exists()


@pytest.mark.parametrize(
    "path",
    [
        *(".local/identity.db", ".venv/bin/python", "deploy/secrets/key", ".env"),
        *("backup-passphrase", "before-upgrade.gz", "keys.gz.gpg"),
    ],
)
def test_state_and_secrets_are_ignored_by_git(path: str) -> None:
    finished = subprocess.run(
        ["git", "check-ignore", "-q", path], cwd=ROOT, check=False
    )
    assert finished.returncode == 0


def test_of_a_persons_pip_setup_takes_the_way_to_an_index_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pip.conf"
    file.write_text(
        "[global]\nindex-url = https://one.example/simple\ntimeout = 30\n"
        "extra-index-url =\n  https://two.example/simple\n  https://three.example/simple\n"
        "[install]\ntimeout = 40\ntarget = /elsewhere\nuser = true\nno-deps = true\n"
    )
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    monkeypatch.setenv("PIP_INDEX_URL", "https://mine.example/simple")
    monkeypatch.setenv("PIP_PREFIX", "/elsewhere")
    settings = setup_venv.index_settings(sys.executable)
    extra = settings["PIP_EXTRA_INDEX_URL"].split()
    assert extra == ["https://two.example/simple", "https://three.example/simple"]
    assert settings["PIP_INDEX_URL"] == "https://mine.example/simple"
    assert settings["PIP_TIMEOUT"] == "40"
    others = {"PIP_TARGET", "PIP_USER", "PIP_NO_DEPS", "PIP_PREFIX", "PIP_CONFIG_FILE"}
    assert not others & settings.keys()


def test_a_pip_that_cannot_read_its_settings_is_one_line(tmp_path: Path) -> None:
    pip = tmp_path / "python"
    pip.write_text("#!/bin/sh\necho 'ERROR: pip.conf is broken' >&2\nexit 1\n")
    pip.chmod(0o755)
    with pytest.raises(setup_venv.SetupError, match=r"pip\.conf is broken"):
        setup_venv.index_settings(str(pip))


@pytest.mark.parametrize(
    ("failures", "runs"), [(None, 1), ("", 1), ("{}", 1), ("1", 2), ("5", 2), ("6", 1)]
)
def test_ci_runs_a_few_tests_that_failed_once_more_and_never_all(
    tmp_path: Path, failures: str | None, runs: int
) -> None:
    cache = tmp_path / ".local/pytest/v/cache"
    cache.mkdir(parents=True)
    text = failures or ""
    if text.isdigit():
        text = "".join(f'  "test_a.py::test_{n}": true,\n' for n in range(int(text)))
    (tmp_path / "found").write_text(text)
    program = tmp_path / ".venv/bin/pytest"
    program.parent.mkdir(parents=True)
    write = "" if failures is None else "cp found .local/pytest/v/cache/lastfailed\n"
    program.write_text(f"#!/bin/sh\necho run >> runs\n{write}exit 1\n")
    program.chmod(0o755)
    finished = subprocess.run(
        [ROOT / ".ci/pytest"], cwd=tmp_path, capture_output=True, check=False
    )
    assert finished.returncode == 1
    assert (tmp_path / "runs").read_text() == "run\n" * runs


def test_two_setups_of_a_tree_run_one_after_the_other(tree: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(tree)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holding:
        assert holding.stdout
        assert holding.stdin
        holding.stdout.readline()
        with subprocess.Popen(
            ["make", "setup"],
            cwd=tree,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as waiting:
            assert waiting.stdout
            assert "waiting for it" in waiting.stdout.readline()
            os.killpg(waiting.pid, signal.SIGINT)  # as Ctrl-C does
            _, said = waiting.communicate(timeout=30)
        holding.stdin.close()
    assert "setup: stopped" in said
    assert "Traceback" not in said
    assert not (tree / ".venv").exists()


HOLDING: Final = (
    "import fcntl, os, sys\n"
    "fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX)\n"
    "print('held', flush=True); sys.stdin.read()"
)
