"""`deploy/backup/backup` and `restore`, run as an operator runs them."""

import asyncio
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import inspect, text
from tests.support.database import (
    connected,
    database_server,
    database_url,
    sqlite_template,
)
from tests.support.identity import (
    create_admin,
    give_signing_keys,
    identity_environment,
    identity_settings,
    running_identity,
)

__all__ = ["database_server", "database_url", "sqlite_template"]

ROOT: Final = Path(__file__).parents[2]


def run(
    command: str, *arguments: object, environ: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "deploy" / "backup" / command, *map(str, arguments)],
        cwd=ROOT.parent,
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )


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


async def test_life_goes_on_and_a_backup_is_restored(
    url: str, tmp_path: Path, passphrase: Path
) -> None:
    environ = identity_environment(url)
    options = ("--passphrase-file", passphrase)
    backup = tmp_path / "backup"
    async with running_identity(identity_settings(url)) as identity:
        alice = await identity.signed_in("alice")
        await asyncio.to_thread(
            lambda: done(run("backup", backup, *options, environ=environ))
        )
        lost = await identity.signed_in("lost")

    restored = await asyncio.to_thread(
        lambda: done(run("restore", backup, *options, environ=environ))
    )

    assert backup.stat().st_mode & 0o077 == 0
    assert "the next user has the id" in restored
    async with running_identity(identity_settings(url)) as identity:
        assert (await identity.sign_in("alice")).status == 200
        assert (await identity.sign_in("lost")).status == 401
        for user in (alice, lost):
            assert not await identity.is_accepted(user["accessToken"])
            assert (await identity.refresh(user["refreshToken"])).status == 403


def done(finished: subprocess.CompletedProcess[str]) -> str:
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


async def test_a_database_in_use_is_not_replaced(url: str, tmp_path: Path) -> None:
    environ = identity_environment(url)
    backup = tmp_path / "backup"
    done(run("backup", backup, environ=environ))
    async with running_identity(identity_settings(url)) as identity:
        await identity.signed_in("alice")
        refused = await asyncio.to_thread(run, "restore", backup, environ=environ)
        assert refused.returncode == 1
        assert "stop identity first" in refused.stderr
        assert (await identity.sign_in("alice")).status == 200


async def test_what_a_later_version_made_is_gone(url: str, tmp_path: Path) -> None:
    environ = identity_environment(url)
    backup = tmp_path / "backup"
    done(run("backup", backup, environ=environ))
    async with connected(url) as engine, engine.begin() as connection:
        await connection.execute(text("CREATE TABLE later (n INT PRIMARY KEY)"))
    done(run("restore", backup, environ=environ))
    async with connected(url) as engine, engine.begin() as connection:
        names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    assert "later" not in names
    assert "users" in names


def test_a_damaged_backup_is_refused(tmp_path: Path, passphrase: Path) -> None:
    target = tmp_path / "identity.sqlite"
    environ = {"IDENTITY_DATABASE_URL": f"sqlite+aiosqlite:///{target}"}
    for name, content in (("short", b"\x1f\x8b\x08"), ("text", b"INSERT")):
        file = tmp_path / name
        file.write_bytes(content)
        for options in ((), ("--passphrase-file", passphrase)):
            refused = run("restore", file, *options, environ=environ)
            assert refused.returncode == 1
            assert len(refused.stderr.splitlines()) == 1, refused.stderr
    assert not target.exists()


def test_nothing_is_overwritten_and_nothing_half_is_left(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.sqlite"
    environ = {"IDENTITY_DATABASE_URL": f"sqlite+aiosqlite:///{missing}"}
    target = tmp_path / "backup"
    refused = run("backup", target, environ=environ)
    assert refused.stderr == f"backup: there is no {missing}\n"
    target.write_text("here already")
    assert "exists already" in run("backup", target, environ=environ).stderr
    assert {file.name for file in tmp_path.iterdir()} == {"backup"}


def test_secrets_are_never_kept_in_the_clear(tmp_path: Path) -> None:
    refused = run("backup", "--secrets", tmp_path / "keys", environ={})
    assert refused.returncode == 1
    assert "--passphrase-file" in refused.stderr
