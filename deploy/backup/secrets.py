"""The keys that the containers have made: those without which a backup is useless."""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import IO, Final

from deploy.backup.databases import ROOT
from deploy.backup.files import BackupError
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
for name, text in json.load(sys.stdin).items():
    path = pathlib.Path(sys.argv[1], name)
    path.unlink(missing_ok=True)
    path.touch(0o600)
    path.write_text(text)
    path.chmod(0o400)
    os.chown(path, {SERVICE_UID}, {SERVICE_UID})
"""

_COMPOSE: Final = ("docker", "compose", "--project-directory", str(ROOT))
_IN_VOLUMES: Final = ("run", "--rm", "--no-deps", "-T", "--entrypoint", "python3")


def save_secrets(target: IO[bytes]) -> None:
    """Write the keys that identity has."""
    show = ("exec", "-T", "identity", "python3", "-c", _SHOW)
    target.write(_output([*_COMPOSE, *show]))


def load_secrets(source: IO[bytes]) -> None:
    """Give identity these keys, which it reads when it starts."""
    text = source.read()
    if set(json.loads(text)) != set(NAMES):
        raise BackupError("this is no backup of secrets")
    if _PRODUCTION.is_dir():
        _output([sys.executable, "-c", _PUT, str(_PRODUCTION)], text)
    else:
        put = ("secrets", "-c", _PUT, "/secrets/identity")
        _output([*_COMPOSE, *_IN_VOLUMES, *put], text)


def _output(command: Sequence[str], stdin: bytes = b"") -> bytes:
    done = subprocess.run(command, input=stdin, check=False, capture_output=True)
    if done.returncode != 0:
        lines = done.stderr.decode().strip().splitlines() or ["docker failed"]
        raise BackupError(lines[-1])
    return done.stdout
