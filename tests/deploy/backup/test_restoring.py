"""What a restored database holds, and when none is replaced."""

import asyncio
import gzip
import os
import shlex
import subprocess
from pathlib import Path

import pytest
from deploy.backup.databases import find_database
from deploy.backup.files import BackupError, reading
from deploy.backup.sqlite_file import UNFINISHED
from sqlalchemy import inspect, make_url, text
from tests.deploy.backup.commands import ROOT, done, run
from tests.support.database import (
    SERVERS,
    connected,
)
from tests.support.identity import (
    create_admin,
    identity_environment,
    identity_settings,
    running_identity,
    starting_identity,
)
from tests.support.operator import Operator

from identity_service.storage.upgrades.schema import UNFINISHED_RESTORE


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


async def test_what_is_restored_in_part_is_not_served(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    environ = identity_environment(url)
    backup = tmp_path / "backup"
    done(run("backup", backup, environ=environ))
    database = find_database(environ)
    with reading(backup, None, database.can_load) as source:
        database.load(source)
    assert (await Operator(url).run("migrate")).code == 0, "as before every start"

    async with starting_identity(identity_settings(url)) as (identity, readiness):
        assert "restore has not ended" in (await readiness.faults())["database"]
        assert (await identity.sign_in("boss")).status == 503
    assert "database_unavailable" in caplog.messages
    refused = await Operator(url).run("roles", "list")
    assert (refused.code, refused.out) == (2, "")
    assert "deploy/backup/restore again" in refused.err
    part = tmp_path / "part"
    assert run("backup", part, environ=environ).returncode == 1
    assert not part.exists()

    done(run("restore", backup, environ=environ))
    async with running_identity(identity_settings(url)) as identity:
        assert (await identity.sign_in("boss")).status == 200


def test_identity_knows_what_marks_an_unfinished_restore() -> None:
    assert UNFINISHED == UNFINISHED_RESTORE


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_disk_that_takes_no_more_is_one_line(url: str, tmp_path: Path) -> None:
    environ = identity_environment(url)
    backup = tmp_path / "backup"
    done(run("backup", backup, environ=environ))
    command = shlex.join([str(ROOT / "deploy" / "backup" / "restore"), str(backup)])
    refused = await asyncio.to_thread(
        subprocess.run,
        ["sh", "-c", f"ulimit -f 1; exec {command}"],
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (refused.returncode, refused.stderr) == (1, "restore: File too large\n")
    done(run("restore", backup, environ=environ))


@pytest.mark.parametrize(
    "name", ["{folder}/a%20b%3F.db", "file:{folder}/a%2520b.db?uri=true"]
)
async def test_the_file_that_identity_uses_is_restored(
    tmp_path: Path, name: str
) -> None:
    url = f"sqlite+aiosqlite:///{name.format(folder=tmp_path)}"
    environ = identity_environment(url)
    backup = tmp_path / "backup"
    assert (await Operator(url).run("migrate")).code == 0
    done(run("backup", backup, environ=environ))
    added = ("roles", "add", "later", "--description", "added after the backup")
    assert (await Operator(url).run(*added)).code == 0

    done(run("restore", backup, environ=environ))

    assert "later" not in (await Operator(url).run("roles", "list")).out
    assert len(databases(tmp_path)) == 1


def databases(folder: Path) -> list[Path]:
    return [*folder.glob("*.db*")]


def test_what_sqlite_refuses_is_in_words(tmp_path: Path) -> None:
    file = tmp_path / "identity.sqlite"
    file.write_text("no database, but longer than the head of one" * 10)
    database = find_database({"IDENTITY_DATABASE_URL": f"sqlite+aiosqlite:///{file}"})
    with pytest.raises(BackupError, match="SQLite: file is not a database"):
        database.finish()


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


async def test_what_cannot_be_restored_changes_nothing(
    database_url: str, tmp_path: Path
) -> None:
    environ = identity_environment(database_url)
    backup, other = tmp_path / "backup", tmp_path / "other"
    done(run("backup", backup, environ=environ))
    whole = gzip.decompress(backup.read_bytes())
    await create_admin(database_url)

    refusals = []
    for mistaken in (
        b'{"key-encryption-keys": "of another file"}',
        whole[: len(whole) // 2],  # as of a pipe whose first program failed
        whole.replace(b"signing_keys", b"parsing_keys"),  # another application's
    ):
        other.write_bytes(gzip.compress(mistaken))
        refusals.append(run("restore", other, environ=environ))
    del environ["IDENTITY_ISSUER"]
    refusals.append(run("restore", backup, environ=environ))

    for refused in refusals:
        assert refused.returncode == 1
        assert refused.stderr.endswith("nothing was changed\n"), refused.stderr
    async with connected(database_url) as engine, engine.connect() as connection:
        names = await connection.scalars(text("SELECT username FROM users"))
        assert len(names.all()) == 1


@pytest.mark.parametrize("database_url", SERVERS, indirect=True)
async def test_who_cannot_see_others_connections_restores_nothing(
    url: str, tmp_path: Path
) -> None:
    where = make_url(url)
    backup = tmp_path / "backup"
    account = "'restorer'@'%'"
    async with connected(url) as engine, engine.begin() as connection:
        await connection.execute(text(f"CREATE USER {account} IDENTIFIED BY 'r'"))
        await connection.execute(
            text(f"GRANT ALL ON `{where.database}`.* TO {account}")
        )
    try:
        restorer = where.set(username="restorer", password="r")
        environ = identity_environment(restorer.render_as_string(hide_password=False))
        done(run("backup", backup, environ=environ))
        async with running_identity(identity_settings(url)) as identity:
            await identity.signed_in("alice")
            refused = await asyncio.to_thread(run, "restore", backup, environ=environ)
            assert "needs PROCESS" in refused.stderr
            async with connected(url) as engine, engine.begin() as connection:
                await connection.execute(text(f"GRANT PROCESS ON *.* TO {account}"))
            refused = await asyncio.to_thread(run, "restore", backup, environ=environ)
            assert "stop identity first" in refused.stderr
            assert (await identity.sign_in("alice")).status == 200
        done(run("restore", backup, environ=environ))
    finally:
        async with connected(url) as engine, engine.begin() as connection:
            await connection.execute(text(f"DROP USER {account}"))
