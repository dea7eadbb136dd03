"""`deploy/backup/backup` and `restore`, run as an operator runs them."""

import asyncio
import contextlib
import gzip
import json
import os
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest
from deploy.backup.databases import find_database
from deploy.backup.files import BackupError, reading, writing
from deploy.backup.logins import Login
from deploy.backup.secrets import NAMES, are_secrets
from deploy.backup.sqlite_file import UNFINISHED
from sqlalchemy import inspect, make_url, text
from tests.support.database import (
    SERVERS,
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
    starting_identity,
)
from tests.support.missing import skip_missing
from tests.support.operator import Operator

from identity_service.storage.upgrades.schema import UNFINISHED_RESTORE

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


def test_what_sqlite_refuses_is_in_words(tmp_path: Path) -> None:
    file = tmp_path / "identity.sqlite"
    file.write_text("no database, but longer than the head of one" * 10)
    database = find_database({"IDENTITY_DATABASE_URL": f"sqlite+aiosqlite:///{file}"})
    with pytest.raises(BackupError, match="SQLite: file is not a database"):
        database.finish()


def test_identity_knows_what_marks_an_unfinished_restore() -> None:
    assert UNFINISHED == UNFINISHED_RESTORE


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


@pytest.mark.parametrize(
    "environ",
    [
        {"IDENTITY_DATABASE_URL_FILE": "/nowhere/at-all"},
        {"IDENTITY_DATABASE_URL": "mysql+asyncmy://u:hunter2@host:port/identity"},
        {"IDENTITY_DATABASE_URL": "mysql+asyncmy://u:[hunter2@host/identity"},
        {},
    ],
    ids=["file", "port", "URL", "no docker"],
)
def test_what_a_backup_cannot_use_is_one_line(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("dirname", "readlink"):
        (programs / name).symlink_to(shutil.which(name) or "")
    (programs / "python3").symlink_to(sys.executable)
    backup = tmp_path / "backup"
    refused = run("backup", backup, environ={"PATH": str(programs), **environ})
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1, refused.stderr
    assert "hunter2" not in refused.stderr
    assert not backup.exists()


def test_nothing_is_overwritten_and_nothing_half_is_left(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.sqlite"
    environ = {"IDENTITY_DATABASE_URL": f"sqlite+aiosqlite:///{missing}"}
    target = tmp_path / "backup"
    refused = run("backup", target, environ=environ)
    assert refused.stderr == f"backup: there is no {missing}\n"
    target.write_text("here already")
    assert "exists already" in run("backup", target, environ=environ).stderr
    assert {file.name for file in tmp_path.iterdir()} == {"backup"}


@pytest.mark.parametrize(
    "statement", ["", "CREATE TABLE t (n INT)"], ids=["empty", "another application's"]
)
def test_what_could_not_be_restored_is_not_backed_up(
    tmp_path: Path, passphrase: Path, statement: str
) -> None:
    source = tmp_path / "other.sqlite"
    with contextlib.closing(sqlite3.connect(source)) as database:
        database.execute(statement)
    environ = {"IDENTITY_DATABASE_URL": f"sqlite+aiosqlite:///{source}"}
    for options in ((), ("--passphrase-file", passphrase)):
        refused = run("backup", tmp_path / "backup", *options, environ=environ)
        assert refused.returncode == 1
        assert refused.stderr.endswith("no backup is made\n"), refused.stderr
    assert {file.name for file in tmp_path.iterdir()} == {source.name, passphrase.name}


def test_the_file_of_the_url_is_read_as_the_service_reads_it(tmp_path: Path) -> None:
    source, file = tmp_path / "identity.sqlite", tmp_path / "url"
    with contextlib.closing(sqlite3.connect(source)) as database:
        database.execute("CREATE TABLE signing_keys (id INT)")
    file.write_text(f"sqlite+aiosqlite:///{source}\r\n", "utf-8-sig")
    done(
        run(
            "backup",
            tmp_path / "backup",
            environ={"IDENTITY_DATABASE_URL_FILE": str(file)},
        )
    )


def test_what_compose_cannot_restore_is_not_backed_up(
    compose: dict[str, str], tmp_path: Path
) -> None:
    compose["DUMP"] = "CREATE TABLE `another` ("
    refused = run("backup", tmp_path / "backup", environ=compose)
    assert refused.returncode == 1
    assert refused.stderr.endswith("no backup is made\n"), refused.stderr
    assert not (tmp_path / "backup").exists()


def test_a_colon_in_the_trees_path_does_not_matter(tmp_path: Path) -> None:
    tree = tmp_path / "a:b"
    shutil.copytree(ROOT / "deploy", tree / "deploy")
    for command, words in (("backup", "write a backup"), ("restore", "replace every")):
        helped = subprocess.run(
            [tree / "deploy" / "backup" / command, "--help"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert helped.returncode == 0, helped.stderr
        assert words in helped.stdout


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


def test_identity_serves_on_where_no_database_can_be_replaced(
    compose: dict[str, str], tmp_path: Path
) -> None:
    backup = tmp_path / "backup"
    done(run("backup", backup, environ=compose))
    compose["AWAY"] = "mysql"
    refused = run("restore", backup, environ=compose)
    assert refused.returncode == 1
    assert "again" not in refused.stderr
    assert "stop identity" not in Path(compose["NOTES"]).read_text()


NOTING: Final = """#!/bin/sh
OURS='CREATE TABLE `signing_keys` ('
printf '%s %s\n' "$(pwd)" "$*" >>"$NOTES"
case "$*" in
  *"exec -T ${AWAY:-nothing}"*) exit 1 ;;
  *mysqldump*--help) printf '%s\n' "$KNOWN" ;;
  *"-T secrets") echo "secrets: ${SECRETS:-kept}" ;;
  *mysqldump*) printf '%s\\n-- Dump completed\\n' "${DUMP:-$OURS}" ;;
esac
"""


def test_compose_runs_where_the_files_of_its_environment_are(
    compose: dict[str, str], tmp_path: Path
) -> None:
    backup = tmp_path / "backup"
    linked = tmp_path / "linked"
    linked.symlink_to(ROOT / "deploy" / "backup" / "backup")
    command = [str(linked), backup.name]
    done(
        subprocess.run(
            command,
            cwd=tmp_path,
            env=compose,
            capture_output=True,
            text=True,
            check=False,
        )
    )
    done(run("restore", backup, environ=compose))
    notes = Path(compose["NOTES"]).read_text().splitlines()
    dump, check = notes[1:3]
    assert "mysqldump" in dump
    assert {line.partition(" ")[0] for line in notes} == {str(ROOT)}
    assert "identity check" in check, "before identity is stopped"
    assert not [line for line in notes if "content" in line], "it need not stop"


@pytest.mark.parametrize(
    ("known", "given"),
    [
        pytest.param("", [], id="MariaDB"),
        pytest.param("--set-gtid-purged[=name]", ["--set-gtid-purged=OFF"], id="8.4"),
        pytest.param(
            "--set-gtid-purged[=name] use --skip-masking-policies to disable",
            ["--set-gtid-purged=OFF", "--skip-masking-policies"],
            id="9.7",
        ),
    ],
)
def test_a_program_gets_the_options_that_it_knows(
    compose: dict[str, str], tmp_path: Path, known: str, given: list[str]
) -> None:
    compose["KNOWN"] = known
    done(run("backup", tmp_path / "backup", environ=compose))
    *_, dump = Path(compose["NOTES"]).read_text().splitlines()
    options = dump.split()
    assert [each for each in options if "gtid" in each or "masking" in each] == given


def test_a_dump_of_mariadb_is_not_given_to_mysql(
    compose: dict[str, str], tmp_path: Path
) -> None:
    """Its client would stop at the first line, when the database is dropped already."""
    backup = tmp_path / "backup"
    dump = f"{SANDBOX}\nCREATE TABLE `signing_keys` (\n-- Dump completed\n"
    backup.write_bytes(gzip.compress(dump.encode()))
    refused = run("restore", backup, environ=compose)
    assert refused.returncode == 1
    assert refused.stderr.endswith("; nothing was changed\n")
    assert not Path(compose["NOTES"]).exists()


SANDBOX: Final = r"/*M!999999\- enable the sandbox mode */ "


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_an_old_python_is_one_line(tmp_path: Path, command: str) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.version_info = (3, 9)")
    python = tmp_path / "python3"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    refused = run(command, tmp_path / "file", environ={"PATH": path})
    assert refused.returncode == 1
    assert refused.stderr == f"{command}: needs Python 3.11 or newer as python3\n"


def test_secrets_are_never_kept_in_the_clear(tmp_path: Path) -> None:
    refused = run("backup", "--secrets", tmp_path / "keys", environ={})
    assert refused.returncode == 1
    assert "--passphrase-file" in refused.stderr


@pytest.fixture
def endless_dump(tmp_path: Path) -> dict[str, str]:
    """The environment of a backup that stands still in the middle."""
    programs, temporary = tmp_path / "programs", tmp_path / "temporary"
    for folder in (programs, temporary, tmp_path / "target"):
        folder.mkdir()
    program = programs / "mariadb-dump"
    program.write_text(ENDLESS_DUMP)
    program.chmod(0o700)
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": os.environ["HOME"],
        "TMPDIR": str(temporary),
        "IDENTITY_DATABASE_URL": "mysql+asyncmy://somebody:secret@localhost/identity",
        "STANDS_STILL": str(tmp_path / "stands-still"),
    }


ENDLESS_DUMP: Final = """#!/bin/sh
case "$*" in *--version*) echo mariadb; exit;; esac
head -c 3000000 /dev/urandom
touch "$STANDS_STILL"
exec sleep 60
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_whoever_is_ended_leaves_nothing_and_wrote_nothing_plain(
    endless_dump: dict[str, str],
    tmp_path: Path,
    passphrase: Path,
    number: signal.Signals,
) -> None:
    target = tmp_path / "target" / "backup"
    command = [str(ROOT / "deploy/backup/backup"), str(target)]
    command += ["--passphrase-file", str(passphrase)]
    with subprocess.Popen(command, env=endless_dump) as process:
        while not (tmp_path / "stands-still").exists():
            assert process.poll() is None
            time.sleep(0.05)
        written = [file for file in target.parent.rglob("*") if file.is_file()]
        assert all(file.read_bytes()[:2] != GZIP for file in written)
        process.send_signal(number)
        assert process.wait(20) == 128 + number
    assert not list(target.parent.iterdir())
    assert not list((tmp_path / "temporary").iterdir())


GZIP: Final = b"\x1f\x8b"


def test_a_passphrase_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    source, target = tmp_path / "identity.sqlite", tmp_path / "backup"
    sqlite3.connect(source).close()
    environ = {"IDENTITY_DATABASE_URL": f"sqlite+aiosqlite:///{source}"}
    absent = ("--passphrase-file", tmp_path / "absent")
    refused = run("backup", target, *absent, environ=environ)
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1, refused.stderr
    assert not target.exists()


@pytest.mark.parametrize(
    ("query", "mysql", "mariadb"),
    [
        ("", ["ssl-mode=DISABLED", "get-server-public-key"], ["skip-ssl"]),
        (
            "?ssl-mode=required",
            ["ssl-mode=REQUIRED"],
            ["ssl", "disable-ssl-verify-server-cert"],
        ),
        (
            "?ssl-mode=REQUIRED&ssl-ca=/ca.pem",
            ["ssl-mode=VERIFY_CA", 'ssl-ca="/ca.pem"'],
            ["ssl", "ssl-verify-server-cert", 'ssl-ca="/ca.pem"'],
        ),
        (
            "?ssl-mode=VERIFY_IDENTITY&ssl-ca=/ca.pem&ssl-cert=/c.pem&ssl-key=/k.pem",
            [
                "ssl-mode=VERIFY_IDENTITY",
                *('ssl-ca="/ca.pem"', 'ssl-cert="/c.pem"', 'ssl-key="/k.pem"'),
            ],
            [
                *("ssl", "ssl-verify-server-cert"),
                *('ssl-ca="/ca.pem"', 'ssl-cert="/c.pem"', 'ssl-key="/k.pem"'),
            ],
        ),
    ],
)
def test_client_programs_use_the_tls_of_the_url(
    query: str, mysql: list[str], mariadb: list[str]
) -> None:
    login = Login.parse(
        urlsplit(f"mysql+asyncmy://me:pass@db.test:3307/identity{query}")
    )
    for is_mariadb, words in ((False, mysql), (True, mariadb)):
        with login.file(is_mariadb=is_mariadb) as option:
            lines = Path(option.partition("=")[2]).read_text().splitlines()
        address = ["[client]", "protocol=tcp", 'host="db.test"', "port=3307"]
        account = ['user="me"', 'password="pass"']
        assert lines == [*address, *words, *account]


def test_client_programs_use_the_socket_of_the_url() -> None:
    login = Login.parse(urlsplit("mysql+asyncmy://me:a%22b%0Ac@/i?unix_socket=/s"))
    with login.file(is_mariadb=True) as option:
        lines = Path(option.partition("=")[2]).read_text().splitlines()
    assert lines[1:3] == ["protocol=socket", 'socket="/s"']
    assert lines[-1] == 'password="a\\"b\\nc"'


@pytest.mark.parametrize(
    "query", ["?sslmode=require", "?ssl-mode=", "?ssl-mode=PREFERRED", "?ssl=1"]
)
def test_an_option_that_is_not_understood_is_refused(
    query: str, tmp_path: Path
) -> None:
    url = f"mysql+asyncmy://me:pass@127.0.0.1:1/identity{query}"
    environ = {"IDENTITY_DATABASE_URL": url}
    refused = run("backup", tmp_path / "backup", environ=environ)
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1, refused.stderr
    assert not list(tmp_path.iterdir())


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


def test_keys_replace_other_keys_only_by_force(
    tmp_path: Path, passphrase: Path
) -> None:
    if os.geteuid() != 0:
        skip_missing("only root may give the files to identity's user")
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    secrets = tmp_path / "deploy" / "secrets"
    shutil.rmtree(secrets, ignore_errors=True)
    secrets.mkdir()
    keys, peppers = secrets / NAMES[0], secrets / NAMES[1]
    backup = tmp_path / "backup"
    with writing(backup, passphrase, are_secrets) as target:
        target.write(json.dumps(dict.fromkeys(NAMES, "of the backup")).encode())

    def restore(*options: str) -> subprocess.CompletedProcess[str]:
        command = [str(tmp_path / "deploy/backup/restore"), "--secrets", str(backup)]
        command += ["--passphrase-file", str(passphrase), *options]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert restore().returncode == 0
    assert restore().returncode == 0, "the same keys are there"
    keys.unlink()
    keys.write_text("in use")
    peppers.unlink()
    refused = restore()
    assert refused.returncode == 1
    assert "--force" in refused.stderr
    assert (keys.read_text(), peppers.exists()) == ("in use", False)
    assert restore("--force").returncode == 0
    for file in (keys, peppers):
        assert file.read_text() == "of the backup"
        assert file.stat().st_mode & 0o777 == 0o400
    assert sorted(secrets.iterdir()) == sorted((keys, peppers))


@pytest.mark.parametrize(("present", "replaces"), [("made", True), ("kept", False)])
def test_keys_that_the_containers_have_only_just_made_are_replaced(
    compose: dict[str, str],
    tmp_path: Path,
    passphrase: Path,
    present: str,
    *,
    replaces: bool,
) -> None:
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    shutil.rmtree(tmp_path / "deploy" / "secrets", ignore_errors=True)
    backup = tmp_path / "backup"
    with writing(backup, passphrase, are_secrets) as target:
        target.write(json.dumps(dict.fromkeys(NAMES, "of the backup")).encode())
    command = [str(tmp_path / "deploy/backup/restore"), "--secrets", str(backup)]
    command += ["--passphrase-file", str(passphrase)]
    environ = {**compose, "HOME": os.environ["HOME"], "SECRETS": present}
    done(
        subprocess.run(
            command, env=environ, capture_output=True, text=True, check=False
        )
    )
    notes = Path(compose["NOTES"]).read_text()
    assert notes.startswith(f"{tmp_path} compose run --rm --no-deps -T secrets\n")
    assert notes.rstrip().endswith("/secrets/identity --force") is replaces
