"""Programs for Node, with the packages that they name."""

import fcntl
import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.support.missing import skip_missing

_PROGRAMS: Final = Path(__file__).parents[2] / ".local" / "node"


def installed(program: Path) -> Path:
    """Return a copy of a program's folder with its packages, which are fetched once."""
    if shutil.which("npm") is None:
        skip_missing("npm is not installed")
    folder = _PROGRAMS / program.name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:  # another worker may want it, too
        fcntl.flock(lock, fcntl.LOCK_EX)
        _install(program, folder)
    for module in program.glob("*.mjs"):
        shutil.copy(module, folder)
    return folder


def _install(program: Path, folder: Path) -> None:
    wanted = (program / "package.json").read_text("utf-8")
    done = folder / "installed"
    if not done.exists() or done.read_text("utf-8") != wanted:
        shutil.copy(program / "package.json", folder)
        ended = subprocess.run(
            ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=folder,
            check=False,
            capture_output=True,
        )
        if ended.returncode != 0:
            skip_missing(f"npm cannot install the packages: {ended.stderr!r}")
        done.write_text(wanted, "utf-8")
