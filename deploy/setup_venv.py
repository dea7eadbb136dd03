"""Make `.venv` from the hash-pinned locks, with what Python itself brings.

Run by `make setup`. A digest of all that decides the environment's content is left
in it, so that a second run does nothing.
"""

import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
VENV: Final = ROOT / ".venv"
PYTHON: Final = VENV / "bin" / "python"
STAMP: Final = VENV / "lock.sha256"

BUILD_LOCK: Final = ROOT / "deploy" / "requirements" / "build.txt"
DEV_LOCK: Final = ROOT / "deploy" / "requirements" / "dev.txt"
PACKAGES: Final = ("shared", "services/identity", "services/content", "gateway")


class SetupError(Exception):
    """The environment can not be made; the message is one line for a person."""


def main() -> int:
    """Bring `.venv` up to date; 0 when it is."""
    try:
        wanted = _digest()
        if _is_current(wanted):
            return 0
        _create()
        _say("installing the pinned tools and libraries (a minute or two, once)")
        _pip("--require-hashes", "-r", str(BUILD_LOCK))
        _pip("--require-hashes", "--no-build-isolation", "-r", str(DEV_LOCK))
        _say("installing this tree's packages, editable")
        editables = [word for name in PACKAGES for word in ("-e", str(ROOT / name))]
        _pip("--no-deps", "--no-build-isolation", *editables)
        STAMP.write_text(wanted)
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    _say("done")
    return 0


def _digest() -> str:
    sources = [BUILD_LOCK, DEV_LOCK]
    sources += [ROOT / name / "pyproject.toml" for name in PACKAGES]
    digest = hashlib.sha256(str(ROOT).encode())
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()


def _is_current(wanted: str) -> bool:
    """Whether the stamp fits and the environment's Python still starts."""
    if not STAMP.is_file() or STAMP.read_text() != wanted:
        return False
    return _runs(PYTHON)


def _runs(python: Path) -> bool:
    try:
        command = [str(python), "-c", "import pip"]
        return subprocess.run(command, check=False).returncode == 0  # noqa: S603
    except OSError:
        return False


def _create() -> None:
    """Make the bare environment, unless there is one that works."""
    if importlib.util.find_spec("ensurepip") is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise SetupError(
            f"Python {version} here has no venv module; on Debian and Ubuntu: "
            "apt-get install python3-venv",
        )
    if not os.access(VENV if VENV.exists() else ROOT, os.W_OK):
        raise SetupError(f"can not write to {ROOT}; `.venv` would go there")
    if _runs(PYTHON):
        return
    _say(f"making .venv with Python {sys.version.split()[0]}")
    _run([sys.executable, "-m", "venv", "--clear", str(VENV)])


def _pip(*arguments: str) -> None:
    options = ["--quiet", "--disable-pip-version-check", "--no-input"]
    _run([str(PYTHON), "-m", "pip", "install", *options, *arguments])


def _run(command: list[str]) -> None:
    if subprocess.run(command, check=False).returncode != 0:  # noqa: S603
        raise SetupError(f"this failed, see above: {' '.join(command)}")


def _say(what: str) -> None:
    print(f"setup: {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
