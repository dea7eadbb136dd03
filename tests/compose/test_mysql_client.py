"""`deploy/backup` with the client programs of MySQL itself, those of its image."""

import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from tests.support.containers import ROOT, docker, engine_answers
from tests.support.identity import ISSUER, KEYS
from tests.support.missing import skip_missing

pytestmark = [pytest.mark.compose, pytest.mark.faults, pytest.mark.timeout(300)]

IMAGE: Final = "mysql:9.7"
CLIENT: Final = f"""#!/bin/sh
exec docker run --rm --interactive --network host --volume "$TMPDIR:$TMPDIR" \\
  --entrypoint "$(basename "$0")" {IMAGE} "$@"
"""
PROGRAMS: Final = ("basename", "dirname", "docker", "readlink")


@dataclass
class Server:
    """A server of MySQL."""

    container: str
    url: str
    password: str

    def forget_who_signed_in(self) -> None:
        """From now on clients have to prove their password in full, once."""
        program = ("mysqladmin", f"--password={self.password}", "flush-privileges")
        docker("exec", self.container, *program)

    def url_of_reader(self) -> str:
        """Return the URL of an account that may SELECT, and nothing else."""
        made = f"CREATE USER reader IDENTIFIED BY '{self.password}'"
        granted = "GRANT SELECT ON identity.* TO reader"
        program = ("mysql", f"--password={self.password}", "-e", f"{made}; {granted}")
        docker("exec", self.container, *program)
        return self.url.replace("//root:", "//reader:")


@pytest.fixture
def server() -> Iterator[Server]:
    if not engine_answers():
        skip_missing("no Docker engine with Compose v2 answers here")
    password = secrets.token_hex(16)
    settings = (f"MYSQL_ROOT_PASSWORD={password}", "MYSQL_DATABASE=identity")
    environment = [f"--env={each}" for each in settings]
    options = ("--detach", "--rm", "--publish", "127.0.0.1::3306", *environment)
    container = docker("run", *options, IMAGE).strip()
    try:
        port = docker("port", container, "3306/tcp").rpartition(":")[2].strip()
        until_up(container)
        url = f"mysql+asyncmy://root:{password}@127.0.0.1:{port}/identity"
        yield Server(container, url, password)
    finally:
        docker("rm", "--force", "--volumes", container)


def until_up(container: str) -> None:
    ping = ("exec", container, "mysqladmin", "ping", "--host=127.0.0.1", "--silent")
    deadline = time.monotonic() + 120
    while subprocess.run(
        ["docker", *ping], check=False, capture_output=True
    ).returncode:
        assert time.monotonic() < deadline
        time.sleep(0.5)


@pytest.fixture
def environ(server: Server, tmp_path: Path) -> dict[str, str]:
    """What an operator has who has MySQL's programs and not MariaDB's."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in PROGRAMS:
        (programs / name).symlink_to(shutil.which(name) or name)
    (programs / "python3").symlink_to(Path(sys.executable).resolve())
    for name in ("mysql", "mysqldump"):
        (programs / name).write_text(CLIENT)
        (programs / name).chmod(0o700)
    return {
        "PATH": str(programs),
        "HOME": os.environ["HOME"],
        "TMPDIR": str(tmp_path),
        "IDENTITY_DATABASE_URL": server.url,
        "IDENTITY_ISSUER": ISSUER,
        "IDENTITY_BCRYPT_COST": "4",
        **KEYS,
    }


def run(environ: Mapping[str, str], program: str, *arguments: str) -> str:
    done = subprocess.run(
        [ROOT / program, *arguments],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Error" not in done.stderr
    return done.stdout


def test_a_backup_is_made_and_restored(
    environ: dict[str, str], server: Server, tmp_path: Path
) -> None:
    identity = ".venv/bin/identity-service"
    backup = str(tmp_path / "backup.gz")
    run(environ, identity, "migrate")
    run(environ, identity, "create-admin", "--email", "admin@example.org")
    server.forget_who_signed_in()
    reader = {"IDENTITY_DATABASE_URL": server.url_of_reader()}
    run(environ | reader, "deploy/backup/backup", backup)
    run(environ, identity, "roles", "add", "later", "--description", "of no backup")
    server.forget_who_signed_in()
    run(environ, "deploy/backup/restore", backup)
    assert "later" not in run(environ, identity, "roles", "list")
    assert "unbroken" in run(environ, identity, "verify-audit")
