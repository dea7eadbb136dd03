"""Make the secrets of the containers, once: what is there already is kept.

Before the first `docker compose up` a one-shot container runs this, and each secret
goes to its consumer's volume, which no other consumer mounts. For production it is run
by hand and told a folder, where all of them become files (docs/operations.md).
"""

import base64
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

VOLUMES: Final = Path("/secrets")
"""Where each consumer's volume is mounted."""
SERVICE_UID: Final = 10001
"""The user of our images."""
MYSQL_UID: Final = 999
"""The user of the MySQL image."""

DATABASE: Final = "identity"
URL: Final = "mysql+asyncmy://{user}:{password}@mysql:3306/" + DATABASE
DONE: Final = ".complete"

ACCOUNTS: Final = """\
CREATE USER 'identity'@'%' IDENTIFIED BY '{run}';
GRANT SELECT, INSERT, UPDATE, DELETE ON identity.* TO 'identity'@'%';
CREATE USER 'identity_migrations'@'%' IDENTIFIED BY '{migrate}';
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES
  ON identity.* TO 'identity_migrations'@'%';
CREATE USER 'identity_backup'@'localhost' IDENTIFIED BY '{backup}';
GRANT SELECT ON identity.* TO 'identity_backup'@'localhost';
CREATE USER 'identity_restore'@'localhost' IDENTIFIED BY '{restore}';
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES
  ON identity.* TO 'identity_restore'@'localhost';
"""
"""The service may not change the schema; migrations may, and run once. Backups may read
and restoring may replace, from inside the database's own container alone."""

CLIENT: Final = "[client]\nuser=identity_{user}\npassword={password}\n"
"""An option file of the database's client programs."""


@dataclass(frozen=True)
class Secret:
    """One file, and who reads it."""

    consumer: str
    name: str
    content: str
    owner: int = SERVICE_UID

    @property
    def file_name(self) -> str:
        """What it is called in one folder with the others."""
        is_named_alike = self.consumer in {"mysql", "migrations"}
        return f"{self.consumer}-{self.name}" if is_named_alike else self.name


def main(arguments: list[str]) -> int:
    """Fill the folder that is named, or else the volumes, unless an earlier run did."""
    if len(arguments) > 1 or (arguments and arguments[0].startswith("-")):
        print("usage: make_secrets.py [FOLDER]", file=sys.stderr)
        return 2
    folder = Path(arguments[0]) if arguments else VOLUMES / "identity"
    try:
        return _make(folder, is_named=bool(arguments))
    except OSError as error:
        print(f"secrets: {error.filename or folder}: {error.strerror}", file=sys.stderr)
        if isinstance(error, PermissionError):
            print("secrets: run it as root: each file is its reader's", file=sys.stderr)
        return 1


def _make(folder: Path, *, is_named: bool) -> int:
    if (folder / DONE).exists():
        print("secrets: kept")
        return 0
    if not is_named:
        _fill_volumes()
    elif folder.exists() and any(folder.iterdir()):
        print(
            f"secrets: {folder} holds files, but not all were made here; nothing was "
            f"changed. Keep them: touch {folder / DONE}. Make others: move them away.",
            file=sys.stderr,
        )
        return 1
    else:
        _fill(folder)
    print("secrets: made")
    return 0


def _fill_volumes() -> None:
    """Nobody has used what an earlier run made that did not end: all is made anew."""
    for secret in make():
        folder = VOLUMES / secret.consumer
        _write(folder / secret.name, secret)
        os.chown(folder, secret.owner, secret.owner)
        folder.chmod(0o700)
    (VOLUMES / "identity" / DONE).touch()


def _fill(folder: Path) -> None:
    """Make the folder with all files, or none."""
    unfinished = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    for secret in make():
        _write(unfinished / secret.file_name, secret)
    (unfinished / DONE).touch()
    unfinished.rename(folder)


def make() -> Iterator[Secret]:
    """Yield new secrets, all that the containers need."""
    users = ("run", "migrate", "backup", "restore")
    passwords = {user: secrets.token_hex(32) for user in users}
    throttle = secrets.token_hex(32)
    yield Secret("mysql", "root-password", secrets.token_hex(32), MYSQL_UID)
    yield Secret("mysql", "accounts.sql", ACCOUNTS.format(**passwords), MYSQL_UID)
    for user in ("backup", "restore"):
        options = CLIENT.format(user=user, password=passwords[user])
        yield Secret("mysql", f"{user}.cnf", options, MYSQL_UID)
    yield Secret("valkey", "valkey.conf", f"requirepass {throttle}\n")
    migrations = URL.format(user="identity_migrations", password=passwords["migrate"])
    yield Secret("migrations", "database-url", migrations)
    url = URL.format(user="identity", password=passwords["run"])
    yield Secret("identity", "database-url", url)
    yield Secret("identity", "throttle-url", f"valkey://:{throttle}@valkey:6379/0")
    yield Secret("identity", "key-encryption-keys", _key())
    yield Secret("identity", "password-peppers", _key())


def _key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")


def _write(path: Path, secret: Secret) -> None:
    """Write a file that its owner alone may read."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret.content)
    os.chown(path, secret.owner, secret.owner)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
