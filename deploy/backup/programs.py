"""The programs of the database, of Docker and of identity, which do the work."""

import contextlib
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final

from deploy.backup.files import BackupError

ROOT: Final = Path(__file__).resolve().parents[2]


def installed(*names: str) -> str:
    """Return the first of these that is installed."""
    for name in names:
        if found := shutil.which(name):
            return found
    raise BackupError(f"needs one of the programs {', '.join(names)}")


def identity_service() -> str:
    """Return the program of this tree, or else of the `PATH`."""
    here = ROOT / ".venv" / "bin" / "identity-service"
    return str(here) if here.exists() else installed("identity-service")


def is_mariadb(client: str) -> bool:
    """Whether a client program is MariaDB's, and not MySQL's."""
    return "mariadb" in output([client, "--version"]).lower()


def output(
    command: Sequence[str], *, stdin: str = "", folder: Path | None = None
) -> str:
    """Return what a program prints; BackupError with all its words if it fails."""
    done = subprocess.run(
        command, cwd=folder, input=stdin, check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        words = "; ".join(done.stderr.strip().splitlines())
        raise BackupError(words or f"{command[0]} failed")
    return done.stdout


def run(
    *command: str,
    stdin: IO[bytes] | None = None,
    stdout: IO[bytes] | None = None,
    folder: Path | None = None,
) -> None:
    """Run a program; its output goes to the operator, or compressed to a file."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE if stdout else None,
    )
    try:
        with contextlib.suppress(BrokenPipeError):
            if stdin and process.stdin:
                shutil.copyfileobj(stdin, process.stdin)
                process.stdin.close()
        if stdout and process.stdout:
            shutil.copyfileobj(process.stdout, stdout)
        process.wait()
    finally:
        process.kill()
        process.wait()
    if process.returncode != 0:
        raise BackupError(f"{Path(command[0]).name} failed: nothing to rely on")
