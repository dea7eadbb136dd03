"""What is backed up, and what is refused in one line and leaves nothing behind."""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest
from tests.deploy.backup.commands import ROOT, done, run


@pytest.mark.parametrize(
    "environ",
    [
        {"IDENTITY_DATABASE_URL_FILE": "/nowhere/at-all"},
        {"IDENTITY_DATABASE_URL": "mysql+asyncmy://u:hunter2@host:port/identity"},
        {"IDENTITY_DATABASE_URL": "mysql+asyncmy:/u:hunter2@host/identity"},
        {},
    ],
    ids=["file", "port", "URL", "no docker"],
)
def test_what_a_backup_cannot_use_is_one_line(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("dirname", "readlink"):
        (programs / name).symlink_to(shutil.which(name) or "")
    (programs / "python3").symlink_to(sys.executable)
    backup = tmp_path / "backup"
    refused = run("backup", backup, environ={"PATH": str(programs), **environ})
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1, refused.stderr
    assert "hunter2" not in refused.stderr
    assert not backup.exists()


def test_nothing_is_overwritten_and_nothing_half_is_left(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.sqlite"
    environ = {"IDENTITY_DATABASE_URL": f"sqlite+aiosqlite:///{missing}"}
    target = tmp_path / "backup"
    refused = run("backup", target, environ=environ)
    assert refused.stderr == f"backup: there is no {missing}\n"
    target.write_text("here already")
    assert "exists already" in run("backup", target, environ=environ).stderr
    assert {file.name for file in tmp_path.iterdir()} == {"backup"}


@pytest.mark.parametrize(
    "statement", ["", "CREATE TABLE t (n INT)"], ids=["empty", "another application's"]
)
def test_what_could_not_be_restored_is_not_backed_up(
    tmp_path: Path, passphrase: Path, statement: str
) -> None:
    source = tmp_path / "other.sqlite"
    with contextlib.closing(sqlite3.connect(source)) as database:
        database.execute(statement)
    environ = {"IDENTITY_DATABASE_URL": f"sqlite+aiosqlite:///{source}"}
    for options in ((), ("--passphrase-file", passphrase)):
        refused = run("backup", tmp_path / "backup", *options, environ=environ)
        assert refused.returncode == 1
        assert refused.stderr.endswith("no backup is made\n"), refused.stderr
    assert {file.name for file in tmp_path.iterdir()} == {source.name, passphrase.name}


def test_the_file_of_the_url_is_read_as_the_service_reads_it(tmp_path: Path) -> None:
    source, file = tmp_path / "identity.sqlite", tmp_path / "url"
    with contextlib.closing(sqlite3.connect(source)) as database:
        database.execute("CREATE TABLE signing_keys (id INT)")
    file.write_text(f"sqlite+aiosqlite:///{source}\r\n", "utf-8-sig")
    done(
        run(
            "backup",
            tmp_path / "backup",
            environ={"IDENTITY_DATABASE_URL_FILE": str(file)},
        )
    )


def test_a_passphrase_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    source, target = tmp_path / "identity.sqlite", tmp_path / "backup"
    sqlite3.connect(source).close()
    environ = {"IDENTITY_DATABASE_URL": f"sqlite+aiosqlite:///{source}"}
    absent = ("--passphrase-file", tmp_path / "absent")
    refused = run("backup", target, *absent, environ=environ)
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1, refused.stderr
    assert not target.exists()


@pytest.fixture
def endless_dump(tmp_path: Path) -> dict[str, str]:
    """The environment of a backup that stands still in the middle."""
    programs, temporary = tmp_path / "programs", tmp_path / "temporary"
    for folder in (programs, temporary, tmp_path / "target"):
        folder.mkdir()
    program = programs / "mariadb-dump"
    program.write_text(ENDLESS_DUMP)
    program.chmod(0o700)
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": os.environ["HOME"],
        "TMPDIR": str(temporary),
        "IDENTITY_DATABASE_URL": "mysql+asyncmy://somebody:secret@localhost/identity",
        "STANDS_STILL": str(tmp_path / "stands-still"),
    }


ENDLESS_DUMP: Final = """#!/bin/sh
case "$*" in *--version*) echo mariadb; exit;; esac
head -c 3000000 /dev/urandom
touch "$STANDS_STILL"
exec sleep 60
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_whoever_is_ended_leaves_nothing_and_wrote_nothing_plain(
    endless_dump: dict[str, str],
    tmp_path: Path,
    passphrase: Path,
    number: signal.Signals,
) -> None:
    target = tmp_path / "target" / "backup"
    command = [str(ROOT / "deploy/backup/backup"), str(target)]
    command += ["--passphrase-file", str(passphrase)]
    with subprocess.Popen(command, env=endless_dump) as process:
        while not (tmp_path / "stands-still").exists():
            assert process.poll() is None
            time.sleep(0.05)
        written = [file for file in target.parent.rglob("*") if file.is_file()]
        assert all(file.read_bytes()[:2] != GZIP for file in written)
        process.send_signal(number)
        assert process.wait(20) == 128 + number
    assert not list(target.parent.iterdir())
    assert not list((tmp_path / "temporary").iterdir())


GZIP: Final = b"\x1f\x8b"


def test_a_colon_in_the_trees_path_does_not_matter(tmp_path: Path) -> None:
    tree = tmp_path / "a:b"
    shutil.copytree(ROOT / "deploy", tree / "deploy")
    for command, words in (("backup", "write a backup"), ("restore", "replace every")):
        helped = subprocess.run(
            [tree / "deploy" / "backup" / command, "--help"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert helped.returncode == 0, helped.stderr
        assert words in helped.stdout


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_an_old_python_is_one_line(tmp_path: Path, command: str) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.version_info = (3, 9)")
    python = tmp_path / "python3"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    refused = run(command, tmp_path / "file", environ={"PATH": path})
    assert refused.returncode == 1
    assert refused.stderr == f"{command}: needs Python 3.11 or newer as python3\n"
