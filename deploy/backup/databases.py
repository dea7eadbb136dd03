"""The databases that are backed up: an SQLite file, a MySQL or MariaDB, Compose's."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final, Protocol
from urllib.parse import unquote, urlsplit

from deploy.backup.files import BackupError
from deploy.backup.logins import Login
from deploy.backup.programs import (
    ROOT,
    identity_service,
    installed,
    is_mariadb,
    output,
    run,
)
from deploy.backup.sqlite_file import BEGIN, END, SqliteDatabase, is_whole
from deploy.backup.urls import DatabaseUrl

URL: Final = "IDENTITY_DATABASE_URL"

_DUMP_OPTIONS: Final = (
    *("--single-transaction", "--skip-lock-tables", "--skip-add-locks"),
    "--no-tablespaces",
)
"""One moment of all tables, while others write; nothing that wants a privilege."""
_OPTIONS_OF_SOME: Final = ("--set-gtid-purged=OFF", "--skip-masking-policies")
"""No word on replication, which a restore in place refuses, and none on masking, which
wants a privilege. MySQL has them, of some version on; MariaDB has neither."""
_CREATED: Final = re.compile(rb"CREATE TABLE `(\w+)`")
_MARIADB: Final = b"/*M!999999\\- "
"""Begins its dumps; MySQL's client takes it for a command."""


class Database(Protocol):
    """What can be backed up and restored."""

    def dump(self, target: IO[bytes]) -> None:
        """Write one moment of it, while it may be in use."""

    def can_load(self, source: IO[bytes]) -> bool:
        """Whether this is a complete dump of identity's database."""

    def stop_service(self) -> None:
        """Have no identity use it; BackupError if one does that is not ours to stop."""

    def load(self, source: IO[bytes]) -> None:
        """Replace all that it holds, and have no identity use it yet."""

    def finish(self) -> None:
        """Let identity use what was loaded."""

    def identity(self, *command: str) -> None:
        """Run a command of identity-service on it."""

    def start_service(self) -> None:
        """Start what `stop_service` has stopped."""


def find_database(environ: Mapping[str, str]) -> Database:
    """Return the one that the environment names, or else that of the containers."""
    url = environ.get(URL) or None
    if url is None and (file := environ.get(f"{URL}_FILE")):
        url = Path(file).read_text("utf-8-sig", "replace").strip()
    if url is None:
        return ComposeDatabase()
    parts = DatabaseUrl.parse(url)
    if parts.driver.startswith("sqlite"):
        return SqliteDatabase(_file_of(parts.database))
    if parts.driver.startswith("mysql"):
        return MysqlDatabase(Login.parse(parts))
    raise BackupError(f"{URL} is neither SQLite nor MySQL")


def _file_of(name: str) -> Path:
    """Return where SQLite keeps a database, which its own kind of URL may name."""
    return Path(unquote(urlsplit(name).path) if name.startswith("file:") else name)


class MysqlDatabase:
    """A server that the client programs on this machine reach."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._name = login.database

    def dump(self, target: IO[bytes]) -> None:
        program = installed("mariadb-dump", "mysqldump")
        options = _dump_options(output([program, "--help"]))
        with self._login.file(is_mariadb=is_mariadb(program)) as login:
            run(program, login, *options, self._name, stdout=target)

    def can_load(self, source: IO[bytes]) -> bool:
        by_mariadb = is_mariadb(installed("mariadb", "mysql"))
        return _is_our_dump(source, by_mariadb=by_mariadb)

    def stop_service(self) -> None:
        try:
            # This wants the privilege without which the list below shows one's own
            # connections alone.
            self._client("SELECT COUNT(*) FROM information_schema.innodb_trx")
        except BackupError as error:
            if "PROCESS" not in str(error):
                raise
            raise BackupError(
                f"{self._login.user} cannot see who uses {self._name}: it needs PROCESS"
            ) from error
        name = self._name.replace("\\", "\\\\").replace("'", "''")
        used = self._client(
            "SELECT COUNT(*) FROM information_schema.processlist"  # noqa: S608 - ours
            f" WHERE db = '{name}' AND id <> CONNECTION_ID()"
        )
        if int(used):
            raise BackupError(f"{self._name} is in use: stop identity first")

    def load(self, source: IO[bytes]) -> None:
        self._client(
            f"DROP DATABASE IF EXISTS `{self._name}`;"
            f" CREATE DATABASE `{self._name}` CHARACTER SET utf8mb4;"
            f" USE `{self._name}`; {BEGIN}"
        )
        program = installed("mariadb", "mysql")
        with self._login.file(is_mariadb=is_mariadb(program)) as login:
            run(program, login, self._name, stdin=source)

    def finish(self) -> None:
        self._client(f"USE `{self._name}`; {END}")

    def identity(self, *command: str) -> None:
        run(identity_service(), *command)

    def start_service(self) -> None:
        """Do nothing: the operator stopped it, and starts it again."""

    def _client(self, statements: str) -> str:
        program = installed("mariadb", "mysql")
        with self._login.file(is_mariadb=is_mariadb(program)) as login:
            return output([program, login, "-N", "-B", "-e", statements])


class ComposeDatabase:
    """The one in the container `mysql`, through the accounts made for that."""

    _SECRETS: Final = "/docker-entrypoint-initdb.d"

    def dump(self, target: IO[bytes]) -> None:
        helped = ["docker", "compose", *self._exec("mysqldump", "backup", "--help")]
        options = (*_dump_options(output(helped, folder=ROOT)), "identity")
        _compose(*self._exec("mysqldump", "backup", *options), stdout=target)

    def can_load(self, source: IO[bytes]) -> bool:
        return _is_our_dump(source, by_mariadb=False)

    def stop_service(self) -> None:
        # With no database, or a wrong password, nothing is stopped in vain.
        _compose(*self._exec("mysql", "restore", "-e", "DO 0"))
        _compose("stop", "identity")

    def load(self, source: IO[bytes]) -> None:
        emptied = "DROP DATABASE IF EXISTS identity; CREATE DATABASE identity"
        begun = f"{emptied}; USE identity; {BEGIN}"
        _compose(*self._exec("mysql", "restore", "-e", begun))
        _compose(*self._exec("mysql", "restore", "identity"), stdin=source)

    def finish(self) -> None:
        _compose(*self._exec("mysql", "restore", "identity", "-e", END))

    def identity(self, *command: str) -> None:
        service = "migrations" if command == ("migrate",) else "identity"
        _compose("run", "--rm", "--no-deps", "-T", service, *command)

    def start_service(self) -> None:
        _compose("up", "--detach", "--no-deps", "--no-recreate", "--wait", "identity")

    def _exec(self, program: str, account: str, *rest: str) -> Sequence[str]:
        login = f"--defaults-extra-file={self._SECRETS}/{account}.cnf"
        return ("exec", "-T", "mysql", program, login, *rest)


def _compose(
    *words: str, stdin: IO[bytes] | None = None, stdout: IO[bytes] | None = None
) -> None:
    """Run Compose in the tree: there it finds the files that COMPOSE_FILE names."""
    run("docker", "compose", *words, stdin=stdin, stdout=stdout, folder=ROOT)


def _dump_options(known: str) -> Sequence[str]:
    """Return those of a program that says of itself what is known."""
    of_some = (each for each in _OPTIONS_OF_SOME if each.partition("=")[0] in known)
    return (*_DUMP_OPTIONS, *of_some)


def _is_our_dump(source: IO[bytes], *, by_mariadb: bool) -> bool:
    """Whether a dump has our tables and the last line, which a truncated one lacks.

    Raises `BackupError`: the client program, if it is not MariaDB's, cannot read it.
    """
    tables: set[str] = set()
    last = b""
    for line in source:
        if line.startswith(_MARIADB) and not by_mariadb:
            text = "the backup is of MariaDB, and MySQL's client cannot read it"
            raise BackupError(f"{text}; nothing was changed")
        if created := _CREATED.match(line):
            tables.add(created[1].decode())
        last = line if line.strip() else last
    return is_whole(tables) and last.startswith(b"-- Dump completed")
