"""The keys that the containers have made: those without which a backup is useless."""

import json
import sys
from typing import IO, Final

from deploy.backup.programs import ROOT, output
from deploy.compose.make_secrets import SERVICE_UID

NAMES: Final = ("key-encryption-keys", "password-peppers")
"""The others are passwords, which every set of containers makes for itself."""

_PRODUCTION: Final = ROOT / "deploy" / "secrets"
"""Where identity's secrets are in production; otherwise they are in a volume."""

_SHOW: Final = f"""
import json, pathlib
folder = pathlib.Path("/run/secrets")
print(json.dumps({{name: (folder / name).read_text() for name in {NAMES!r}}}))
"""

_PUT: Final = f"""
import json, os, pathlib, sys
folder, replaces = pathlib.Path(sys.argv[1]), sys.argv[2:] == ["--force"]
texts = json.load(sys.stdin)
for name, text in texts.items():
    path = folder / name
    if not replaces and path.exists() and path.read_text().split() != text.split():
        sys.exit("there are other " + name + ": --force replaces them")
for name, text in texts.items():
    new = folder / ("." + name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    os.chown(new, {SERVICE_UID}, {SERVICE_UID})
    new.replace(folder / name)
"""
"""Whole files take the place of the old ones, and never of others by mistake."""

_MADE: Final = "secrets: made\n"
"""What make_secrets.py says when there were none."""

_ONCE: Final = ("run", "--rm", "--no-deps", "-T")


def save_secrets(target: IO[bytes]) -> None:
    """Write the keys that identity has."""
    show = ("exec", "-T", "identity", "python3", "-c", _SHOW)
    target.write(_compose(*show).encode())


def are_secrets(source: IO[bytes]) -> bool:
    """Whether this is what `save_secrets` writes."""
    try:
        return set(json.load(source)) == set(NAMES)
    except (ValueError, TypeError):
        return False


def load_secrets(source: IO[bytes], *, replaces: bool) -> None:
    """Give identity these keys, which it reads when it starts.

    Other keys that are there are replaced only if that is wanted: they may be in use.
    In volumes the other secrets are made first, if they are not there yet: what makes
    them would make keys as well, in place of these.
    """
    text = source.read().decode()
    if _PRODUCTION.is_dir():
        force = ["--force"] if replaces else []
        output([sys.executable, "-c", _PUT, str(_PRODUCTION), *force], stdin=text)
    else:
        are_new = _compose(*_ONCE, "secrets") == _MADE
        force = ["--force"] if replaces or are_new else []
        put = ("secrets", "-c", _PUT, "/secrets/identity", *force)
        _compose(*_ONCE, "--entrypoint", "python3", *put, stdin=text)


def _compose(*words: str, stdin: str = "") -> str:
    """Run Compose in the tree, where it finds the files that COMPOSE_FILE names."""
    return output(["docker", "compose", *words], stdin=stdin, folder=ROOT)
