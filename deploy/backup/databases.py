"""The databases that are backed up: an SQLite file, a MySQL or MariaDB, Compose's."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final, Protocol
from urllib.parse import urlsplit

from deploy.backup.files import BackupError, temporary_file
from deploy.backup.logins import Login

ROOT: Final = Path(__file__).resolve().parents[2]
URL: Final = "IDENTITY_DATABASE_URL"

DUMP_OPTIONS: Final = ("--single-transaction", "--skip-lock-tables", "--skip-add-locks")
"""One moment of all tables, while others write; nothing that wants a privilege."""
MYSQL_DUMP_OPTIONS: Final = ("--no-tablespaces", "--set-gtid-purged=OFF")
"""Only the tables, and no word on replication, which a restore in place refuses."""
_OWN_TABLE: Final = "signing_keys"
"""A table of this name tells identity's database from other applications'."""


class Database(Protocol):
    """What can be backed up and restored."""

    def dump(self, target: IO[bytes]) -> None:
        """Write one moment of it, while it may be in use."""

    def can_load(self, source: IO[bytes]) -> bool:
        """Whether this is a complete dump of identity's database."""

    def stop_service(self) -> None:
        """Have no identity use it; BackupError if one does that is not ours to stop."""

    def load(self, source: IO[bytes]) -> None:
        """Replace all that it holds."""

    def identity(self, *command: str) -> None:
        """Run a command of identity-service on it."""

    def start_service(self) -> None:
        """Start what `stop_service` has stopped."""


def find_database(environ: Mapping[str, str]) -> Database:
    """Return the one that the environment names, or else that of the containers."""
    url = environ.get(URL) or None
    if url is None and (file := environ.get(f"{URL}_FILE")):
        url = Path(file).read_text(errors="replace").strip()
    if url is None:
        return ComposeDatabase()
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises, too
    except ValueError:
        raise BackupError(f"{URL} is no URL") from None
    if parts.scheme.startswith("sqlite"):
        return SqliteDatabase(Path(url.partition(":///")[2].partition("?")[0]))
    if parts.scheme.startswith("mysql"):
        return MysqlDatabase(Login.parse(parts))
    raise BackupError(f"{URL} is neither SQLite nor MySQL")


class SqliteDatabase:
    """A file, copied page by page through SQLite itself."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def dump(self, target: IO[bytes]) -> None:
        """Write one moment of it, while it may be in use."""
        if not self._path.is_file():
            raise BackupError(f"there is no {self._path}")
        with temporary_file(self._path.parent) as copy:
            _copy(self._path, copy)
            with copy.open("rb") as file:
                shutil.copyfileobj(file, target)

    def can_load(self, source: IO[bytes]) -> bool:
        """Whether this is a complete dump of identity's database."""
        with temporary_file(self._path.parent) as copy:
            with copy.open("wb") as file:
                shutil.copyfileobj(source, file)
            return _is_ours(copy)

    def stop_service(self) -> None:
        """Have no identity use it; BackupError if one does that is not ours to stop."""
        if users := sorted(_users_of(self._path)):
            raise BackupError(f"{self._path} is in use by {users}: stop identity first")

    def load(self, source: IO[bytes]) -> None:
        """Replace all that it holds."""
        with temporary_file(self._path.parent) as copy:
            with copy.open("wb") as file:
                shutil.copyfileobj(source, file)
            os.close(os.open(self._path, os.O_CREAT, 0o600))
            _copy(copy, self._path)

    def identity(self, *command: str) -> None:
        """Run a command of identity-service on it."""
        _run(_identity_service(), *command)

    def start_service(self) -> None:
        """Do nothing: the operator stopped it, and starts it again."""


class MysqlDatabase:
    """A server that the client programs on this machine reach."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._name = login.database

    def dump(self, target: IO[bytes]) -> None:
        """Write one moment of it, while it may be in use."""
        program = _program("mariadb-dump", "mysqldump")
        options = [*DUMP_OPTIONS]
        is_mariadb = _is_mariadb(program)
        if not is_mariadb:
            options += MYSQL_DUMP_OPTIONS
        with self._login.file(is_mariadb=is_mariadb) as login:
            _run(program, login, *options, self._name, stdout=target)

    def can_load(self, source: IO[bytes]) -> bool:
        """Whether this is a complete dump of identity's database."""
        return _is_our_dump(source)

    def stop_service(self) -> None:
        """Have no identity use it; BackupError if one does that is not ours to stop."""
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
        """Replace all that it holds."""
        self._client(
            f"DROP DATABASE IF EXISTS `{self._name}`;"
            f" CREATE DATABASE `{self._name}` CHARACTER SET utf8mb4"
        )
        program = _program("mariadb", "mysql")
        with self._login.file(is_mariadb=_is_mariadb(program)) as login:
            _run(program, login, self._name, stdin=source)

    def identity(self, *command: str) -> None:
        """Run a command of identity-service on it."""
        _run(_identity_service(), *command)

    def start_service(self) -> None:
        """Do nothing: the operator stopped it, and starts it again."""

    def _client(self, statements: str) -> str:
        program = _program("mariadb", "mysql")
        with self._login.file(is_mariadb=_is_mariadb(program)) as login:
            return _output([program, login, "-N", "-B", "-e", statements])


class ComposeDatabase:
    """The one in the container `mysql`, through the accounts made for that."""

    _SECRETS: Final = "/docker-entrypoint-initdb.d"

    def dump(self, target: IO[bytes]) -> None:
        """Write one moment of it, while it may be in use."""
        options = (*DUMP_OPTIONS, *MYSQL_DUMP_OPTIONS, "identity")
        _compose(*self._exec("mysqldump", "backup", *options), stdout=target)

    def can_load(self, source: IO[bytes]) -> bool:
        """Whether this is a complete dump of identity's database."""
        return _is_our_dump(source)

    def stop_service(self) -> None:
        """Have no identity use it; BackupError if one does that is not ours to stop."""
        _compose("stop", "identity")

    def load(self, source: IO[bytes]) -> None:
        """Replace all that it holds."""
        emptied = "DROP DATABASE IF EXISTS identity; CREATE DATABASE identity"
        _compose(*self._exec("mysql", "restore", "-e", emptied))
        _compose(*self._exec("mysql", "restore", "identity"), stdin=source)

    def identity(self, *command: str) -> None:
        """Run a command of identity-service on it."""
        service = "migrations" if command == ("migrate",) else "identity"
        _compose("run", "--rm", "--no-deps", "-T", service, *command)

    def start_service(self) -> None:
        """Start what `stop_service` has stopped."""
        _compose("up", "--detach", "--no-deps", "--no-recreate", "--wait", "identity")

    def _exec(self, program: str, account: str, *rest: str) -> Sequence[str]:
        login = f"--defaults-extra-file={self._SECRETS}/{account}.cnf"
        return ("exec", "-T", "mysql", program, login, *rest)


def _compose(
    *words: str, stdin: IO[bytes] | None = None, stdout: IO[bytes] | None = None
) -> None:
    """Run Compose in the tree: there it finds the files that COMPOSE_FILE names."""
    _run("docker", "compose", *words, stdin=stdin, stdout=stdout, folder=ROOT)


def _is_our_dump(source: IO[bytes]) -> bool:
    """Whether a dump has our table and the last line, which a truncated one lacks."""
    is_ours, last = False, b""
    for line in source:
        is_ours = is_ours or line.startswith(f"CREATE TABLE `{_OWN_TABLE}`".encode())
        last = line if line.strip() else last
    return is_ours and last.startswith(b"-- Dump completed")


def _is_ours(path: Path) -> bool:
    """Whether a file is a sound SQLite database with our table."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        try:
            database.execute(f"SELECT COUNT(*) FROM {_OWN_TABLE}")  # noqa: S608 - ours
            (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.DatabaseError:
            return False
    return str(found) == "ok"


def _copy(source: Path, target: Path) -> None:
    with (
        contextlib.closing(sqlite3.connect(source)) as one,
        contextlib.closing(sqlite3.connect(target)) as other,
    ):
        try:
            one.backup(other)
        except sqlite3.Error as error:
            raise BackupError(f"SQLite: {error}") from error


def _users_of(path: Path) -> set[str]:
    """Return the processes of this machine that have a file open (Linux)."""
    real = str(path.resolve())
    users = set()
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if str(descriptor.readlink()) == real:
                users.add(descriptor.parts[2])
    return users


def _program(*names: str) -> str:
    for name in names:
        if found := shutil.which(name):
            return found
    raise BackupError(f"needs one of the programs {', '.join(names)}")


def _identity_service() -> str:
    here = ROOT / ".venv" / "bin" / "identity-service"
    return str(here) if here.exists() else _program("identity-service")


def _is_mariadb(program: str) -> bool:
    return "mariadb" in _output([program, "--version"]).lower()


def _output(command: Sequence[str]) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise BackupError(_last_line(done.stderr, command))
    return done.stdout


def _run(
    *command: str,
    stdin: IO[bytes] | None = None,
    stdout: IO[bytes] | None = None,
    folder: Path | None = None,
) -> None:
    """Run a program; its output goes to the operator, or compressed to a file."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE if stdout else None,
    )
    try:
        with contextlib.suppress(BrokenPipeError):
            if stdin and process.stdin:
                shutil.copyfileobj(stdin, process.stdin)
                process.stdin.close()
        if stdout and process.stdout:
            shutil.copyfileobj(process.stdout, stdout)
        process.wait()
    finally:
        process.kill()
        process.wait()
    if process.returncode != 0:
        raise BackupError(f"{Path(command[0]).name} failed: nothing to rely on")


def _last_line(text: str, command: Sequence[str]) -> str:
    return (text.strip().splitlines() or [f"{command[0]} failed"])[-1]
