"""Make `.venv` from the hash-pinned locks, with what Python itself brings.

Run by `make setup`. A digest of all that decides the environment's content is left
in it, so that a second run does nothing.
"""

import ast
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
VENV: Final = ROOT / ".venv"
PYTHON: Final = VENV / "bin" / "python"
STAMP: Final = VENV / "lock.sha256"

BUILD_LOCK: Final = ROOT / "deploy" / "requirements" / "build.txt"
DEV_LOCK: Final = ROOT / "deploy" / "requirements" / "dev.txt"
_PINNED: Final = re.compile(r"^[A-Za-z0-9][\w.-]*==", re.MULTILINE)
_INDEX_SETTINGS: Final = frozenset(
    {
        *("INDEX_URL", "EXTRA_INDEX_URL", "NO_INDEX", "FIND_LINKS", "TRUSTED_HOST"),
        *("CERT", "CLIENT_CERT", "PROXY", "KEYRING_PROVIDER"),
        *("DEFAULT_TIMEOUT", "TIMEOUT", "RETRIES", "CACHE_DIR", "NO_CACHE_DIR"),
    }
)
"""Settings of a person's own pip, by which it reaches an index, as variables without
``PIP_``. Others, of variables or files, would have it install elsewhere, or something
else.
"""
_FILE_SETTING: Final = re.compile(r"(?:global|install)\.([a-z-]+)=(.+)")
"""A line of `pip config list`."""


class SetupError(Exception):
    """The environment can not be made; the message is one line for a person."""


def main() -> int:
    """Bring `.venv` up to date; 0 when it is."""
    try:
        wanted = _digest()
        if _is_current(wanted):
            return 0
        with _alone():
            if not _is_current(wanted):
                _install(wanted)
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nsetup: stopped; the next one goes on", file=sys.stderr)
        return 1
    return 0


def _install(wanted: str) -> None:
    _create()
    settings = index_settings(str(PYTHON))
    for lock, what, options in (
        (BUILD_LOCK, "packages that build others", []),
        (DEV_LOCK, "tools and libraries", ["--no-build-isolation"]),
    ):
        count = len(_PINNED.findall(lock.read_text("utf-8")))
        _say(f"installing {count} pinned {what}")
        _pip(settings, "--require-hashes", *options, "-r", str(lock))
    editables = [word for name in _packages() for word in ("-e", str(ROOT / name))]
    _say("installing this tree's packages")
    _pip(settings, "--no-deps", "--no-build-isolation", *editables)
    STAMP.write_text(wanted)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Wait until nobody else sets this tree up; two would spoil each other's files."""
    tree = os.open(ROOT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(tree, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another one sets this tree up; waiting for it")
            fcntl.flock(tree, fcntl.LOCK_EX)
        except OSError:
            pass  # some network file systems lock no folders
        yield
    finally:
        os.close(tree)


def _packages() -> list[str]:
    """Return the folders of this tree's packages."""
    services = sorted((ROOT / "services").glob("*/pyproject.toml"))
    return [
        "shared",
        "gateway",
        *(str(each.parent.relative_to(ROOT)) for each in services),
    ]


def _digest() -> str:
    sources = [BUILD_LOCK, DEV_LOCK]
    sources += [ROOT / name / "pyproject.toml" for name in _packages()]
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
            "apt-get install python3-venv"
        )
    if not os.access(VENV if VENV.exists() else ROOT, os.W_OK):
        raise SetupError(f"cannot write to {ROOT}; `.venv` would go there")
    if _runs(PYTHON):
        return
    _say(f"making .venv with Python {sys.version.split()[0]}")
    _run([sys.executable, "-m", "venv", "--clear", str(VENV)])


def index_settings(python: str) -> dict[str, str]:
    """Return the variables by which pip reaches an index as this person's pip does."""
    command = [python, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - our own
    if listed.returncode != 0:
        raise SetupError((listed.stderr.strip().splitlines() or ["pip failed"])[-1])
    found = {}
    for line in sorted(listed.stdout.splitlines()):  # what is `install.` counts last
        if match := _FILE_SETTING.fullmatch(line):
            name = match[1].upper().replace("-", "_")
            found[f"PIP_{name}"] = str(ast.literal_eval(match[2]))
    found |= {name: value for name, value in os.environ.items() if name[:4] == "PIP_"}
    return {name: found[name] for name in found if name[4:] in _INDEX_SETTINGS}


def _pip(settings: dict[str, str], *arguments: str) -> None:
    """Have pip install, which says nothing unless it fails."""
    options = ["--quiet", "--disable-pip-version-check", "--no-input"]
    own = {name: value for name, value in os.environ.items() if name[:4] != "PIP_"}
    environ = {**own, **settings, "PIP_CONFIG_FILE": os.devnull}
    _run([str(PYTHON), "-m", "pip", "install", *options, *arguments], environ)


def _run(command: list[str], environ: dict[str, str] | None = None) -> None:
    if subprocess.run(command, env=environ, check=False).returncode != 0:  # noqa: S603
        raise SetupError(f"this failed, see above: {' '.join(command)}")


def _say(what: str) -> None:
    print(f"setup: {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
