"""Identity's database in an SQLite file."""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import IO, Final

from deploy.backup.files import BackupError, temporary_file
from deploy.backup.programs import identity_service, run

OWN_TABLE: Final = "signing_keys"
"""A table of this name tells identity's database from other applications'."""
UNFINISHED: Final = "unfinished_restore"
"""While a table of this name is there, identity uses nothing of the database."""
BEGIN: Final = f"CREATE TABLE {UNFINISHED} (id INTEGER PRIMARY KEY)"
END: Final = f"DROP TABLE {UNFINISHED}"

_TABLES: Final = "SELECT name FROM sqlite_master WHERE type = 'table'"


def is_whole(tables: AbstractSet[str]) -> bool:
    """Whether these are identity's tables, and not of a restore that has not ended."""
    return OWN_TABLE in tables and UNFINISHED not in tables


class SqliteDatabase:
    """A file, copied page by page through SQLite itself."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def dump(self, target: IO[bytes]) -> None:
        if not self._path.is_file():
            raise BackupError(f"there is no {self._path}")
        with temporary_file(self._path.parent) as copy:
            _copy(self._path, copy)
            with copy.open("rb") as file:
                shutil.copyfileobj(file, target)

    def can_load(self, source: IO[bytes]) -> bool:
        with temporary_file(self._path.parent) as copy:
            with copy.open("wb") as file:
                shutil.copyfileobj(source, file)
            return _is_ours(copy)

    def stop_service(self) -> None:
        if users := sorted(_users_of(self._path)):
            raise BackupError(f"{self._path} is in use by {users}: stop identity first")

    def load(self, source: IO[bytes]) -> None:
        with temporary_file(self._path.parent) as copy:
            with copy.open("wb") as file:
                shutil.copyfileobj(source, file)
            _execute(copy, f"DROP TABLE IF EXISTS {UNFINISHED}", BEGIN)
            os.close(os.open(self._path, os.O_CREAT, 0o600))
            _copy(copy, self._path)

    def finish(self) -> None:
        _execute(self._path, END)

    def identity(self, *command: str) -> None:
        run(identity_service(), *command)

    def start_service(self) -> None:
        """Do nothing: the operator stopped it, and starts it again."""


def _is_ours(path: Path) -> bool:
    """Whether a file is a sound SQLite database with our tables."""
    with _opened(path) as database:
        try:
            tables = {name for (name,) in database.execute(_TABLES)}
            (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.DatabaseError:
            return False
    return is_whole(tables) and str(found) == "ok"


def _execute(path: Path, *statements: str) -> None:
    with _opened(path) as database, database:
        for statement in statements:
            database.execute(statement)


def _copy(source: Path, target: Path) -> None:
    with _opened(source) as one, _opened(target) as other:
        one.backup(other)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection, closed at the end; what SQLite refuses is a BackupError."""
    try:
        with contextlib.closing(sqlite3.connect(path)) as database:
            yield database
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
