"""A database with an admin, a passphrase, and a `docker` that only takes notes."""

import os
from pathlib import Path
from typing import Final

import pytest
from tests.support.database import (
    database_server,
    database_url,
    sqlite_template,
)
from tests.support.identity import (
    create_admin,
    give_signing_keys,
    identity_settings,
)

__all__ = ["database_server", "database_url", "sqlite_template"]


@pytest.fixture
async def url(database_url: str) -> str:
    await give_signing_keys(identity_settings(database_url))
    await create_admin(database_url)
    return database_url


@pytest.fixture
def passphrase(tmp_path: Path) -> Path:
    file = tmp_path / "passphrase"
    file.write_text("a long and private phrase")
    return file


@pytest.fixture
def compose(tmp_path: Path) -> dict[str, str]:
    """An environment whose `docker` only notes where it runs, and what it is told."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "docker").write_text(NOTING)
    (programs / "docker").chmod(0o700)
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "NOTES": str(tmp_path / "notes"),
    }


NOTING: Final = """#!/bin/sh
OURS='CREATE TABLE `signing_keys` ('
printf '%s %s\n' "$(pwd)" "$*" >>"$NOTES"
case "$*" in
  *"exec -T ${AWAY:-nothing}"*) exit 1 ;;
  *mysqldump*--help*) [ -z "$COMPLAINT" ] || { echo "$COMPLAINT" >&2; exit 1; }
    printf '%s\n' "$KNOWN" ;;
  *"-T secrets") echo "secrets: ${SECRETS:-kept}" ;;
  *mysqldump*) printf '%s\\n-- Dump completed\\n' "${DUMP:-$OURS}" ;;
esac
"""
