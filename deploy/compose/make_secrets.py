"""Make the secrets of a first `docker compose up`, each into its consumer's volume.

A one-shot container runs this before anything else. What is there already is kept, so
a second start changes nothing. Each volume is mounted by one consumer alone.
"""

import base64
import os
import secrets
from pathlib import Path
from typing import Final

SECRETS: Final = Path("/secrets")
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
"""
"""The service may not change the schema; migrations may, and run once."""


def main() -> None:
    """Fill the volumes, unless an earlier run did."""
    done = SECRETS / "identity" / DONE
    if done.exists():
        print("secrets: kept")
        return
    run, migrate, throttle = (secrets.token_hex(32) for _ in range(3))
    _write("mysql/root-password", secrets.token_hex(32), MYSQL_UID)
    _write("mysql/accounts.sql", ACCOUNTS.format(run=run, migrate=migrate), MYSQL_UID)
    _write("valkey/valkey.conf", f"requirepass {throttle}\n", SERVICE_UID)
    _write(
        "migrations/database-url",
        URL.format(user="identity_migrations", password=migrate),
    )
    _write("identity/database-url", URL.format(user="identity", password=run))
    _write("identity/throttle-url", f"valkey://:{throttle}@valkey:6379/0")
    _write("identity/key-encryption-keys", _key())
    _write("identity/password-peppers", _key())
    done.touch()
    print("secrets: made")


def _key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")


def _write(name: str, content: str, owner: int = SERVICE_UID) -> None:
    """Write a file that its owner alone may read."""
    path = SECRETS / name
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
    os.chown(path, owner, owner)
    os.chown(path.parent, owner, owner)
    path.parent.chmod(0o700)


if __name__ == "__main__":
    main()
