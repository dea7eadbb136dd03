"""Databases for tests: SQLite, and a private MariaDB or MySQL server.

The server is started once a run where one is installed; each test gets a database of
its own in it. ``TEST_MYSQL_URL`` names a further server, such as a MySQL of another
version, whose user may create databases.
"""

import asyncio
import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import URL, make_url, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from tests.support.missing import skip_missing
from tests.support.ports import free_ports

from identity_service.domain.audit import GENESIS
from identity_service.storage import tables
from identity_service.storage.engines import opened_engine
from identity_service.storage.upgrades import upgrading

_START_SECONDS: Final = 60
_NO_NATIVE_AIO: Final = "--innodb-use-native-aio=0"
"""The kernel's native AIO is scarce where several servers run on one machine."""

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - folders in it have random names
_ROOM: Final = 2 << 30
"""Bytes that have to be free in memory; a server has some 150 MB."""

_PASSWORD: Final = "test-server-on-loopback"

_OTHER_SERVER: Final = os.environ.get("TEST_MYSQL_URL", "")

SERVERS: Final = ("server", *(["other-server"] if _OTHER_SERVER else []))
"""Those that several processes can reach over a network."""

BACKENDS: Final = ("sqlite", *SERVERS)
"""What `database_url` is parametrised with."""

TIMED_BACKENDS: Final = (pytest.param("sqlite", marks=pytest.mark.faults), *SERVERS)
"""Likewise, for statistics of what requests take, which take half a minute each."""


@dataclass
class DatabaseServer:
    """A MariaDB or MySQL server of our own, on loopback."""

    program: str
    datadir: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    options: tuple[str, ...] = ("--skip-log-bin",)
    """Of this server alone."""
    user: str = pwd.getpwuid(os.getuid()).pw_name
    """Whose process it is."""

    @property
    def url(self) -> URL:
        """Where it listens; no database is named."""
        return URL.create(
            "mysql+asyncmy", "root", _PASSWORD, "127.0.0.1", self.port, query={}
        )

    def start(self) -> None:
        """Start it, and wait until it accepts connections."""
        self.process = subprocess.Popen(
            [
                self.program,
                "--no-defaults",
                f"--datadir={self.datadir}",
                "--bind-address=127.0.0.1",
                f"--port={self.port}",
                f"--socket={self.datadir}/server.sock",
                f"--pid-file={self.datadir}/server.pid",
                f"--init-file={self.datadir.parent}/init.sql",
                f"--tmpdir={self.datadir.parent}",
                f"--user={self.user}",
                "--innodb-flush-log-at-trx-commit=2",
                "--innodb-doublewrite=0",
                _NO_NATIVE_AIO,
                "--max-connections=200",
                *self.options,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.until_up()

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal: stop it, continue it, kill it."""
        if self.process is not None:
            self.process.send_signal(number)

    def kill(self) -> None:
        """End it without a word to its clients."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def until_up(self) -> None:
        """Wait until it greets a client."""
        deadline = time.monotonic() + _START_SECONDS
        while not self._greets():
            has_ended = self.process is not None and not self.is_running
            if has_ended or time.monotonic() > deadline:
                raise TimeoutError("the database server did not start")
            time.sleep(0.05)

    def _greets(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as client:
                return len(client.recv(5)) > 0
        except OSError:
            return False


@contextlib.contextmanager
def database_folder() -> Iterator[Path]:
    """Make a folder for a database, in memory where there is room.

    On a busy machine a disk can take longer over a commit than identity waits for one.
    """
    in_memory = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM
    with tempfile.TemporaryDirectory(
        prefix="database-", dir=_MEMORY if in_memory else None
    ) as name:
        yield Path(name)


def create_server(parent: Path) -> DatabaseServer | None:
    """Return a new server that is not started, None where none is installed."""
    program = shutil.which("mariadbd") or shutil.which("mysqld")
    if program is None:
        return None
    datadir = parent / "data"
    (parent / "init.sql").write_text(
        f"ALTER USER 'root'@'localhost' IDENTIFIED BY '{_PASSWORD}';\n"
    )
    initialise = (
        [
            "mariadb-install-db",
            "--no-defaults",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ]
        if "mariadb" in os.path.realpath(program)
        else [program, "--no-defaults", "--initialize-insecure"]
    )
    made = subprocess.run(
        [
            *initialise,
            f"--datadir={datadir}",
            f"--user={pwd.getpwuid(os.getuid()).pw_name}",
            _NO_NATIVE_AIO,
        ],
        check=False,
        capture_output=True,
        text=True,
        # In a common one, servers that start remove each other's temporary tables.
        env={**os.environ, "TMPDIR": str(parent)},
    )
    if made.returncode != 0:
        raise RuntimeError(f"{initialise[0]} failed: {made.stdout}{made.stderr}")
    return DatabaseServer(program, datadir, free_ports(1)[0])


@contextlib.contextmanager
def running_server(parent: Path, *options: str) -> Iterator[DatabaseServer]:
    """Run a server under ``parent``; skip where none is installed.

    ``options`` are of the server's program, in place of those of `DatabaseServer`.
    """
    server = create_server(parent)
    if server is None:
        skip_missing("neither mariadbd nor mysqld is installed")
    server.options = options or server.options
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="session")
def database_server() -> Iterator[DatabaseServer]:
    """A server that all tests of a run share: leave it as it was."""
    with database_folder() as folder, running_server(folder) as server:
        yield server


def server_url(request: pytest.FixtureRequest, backend: str) -> URL:
    """Return where a server of `SERVERS` listens."""
    if backend == "server":
        server: DatabaseServer = request.getfixturevalue("database_server")
        return server.url
    return make_url(_OTHER_SERVER)


@pytest.fixture(scope="session")
def sqlite_template() -> Iterator[Path]:
    """A SQLite database with the schema and nothing else, to be copied."""
    with database_folder() as folder:
        path = folder / "template.sqlite"
        asyncio.run(migrate(f"sqlite+aiosqlite:///{path}"))
        yield path


@pytest.fixture(params=BACKENDS)
async def database_url(
    request: pytest.FixtureRequest, sqlite_template: Path
) -> AsyncIterator[str]:
    """The URL of an empty database with the schema, on each kind of server."""
    if request.param == "sqlite":
        with database_folder() as folder:
            path = folder / "identity.sqlite"
            shutil.copy(sqlite_template, path)
            yield f"sqlite+aiosqlite:///{path}"
        return
    url = await _migrated_database(server_url(request, request.param))
    yield url
    await _empty(url)


_migrated: Final[dict[URL, str]] = {}
"""The database that tests use in each server, one after the other."""


_roles: Final[dict[str, list[dict[str, Any]]]] = {}
"""The roles that the migrations have brought to a database."""


async def _migrated_database(server: URL) -> str:
    if server not in _migrated:
        url = await create_database(server)
        await migrate(url)
        async with connected(url) as engine, engine.connect() as connection:
            found = await connection.execute(select(tables.roles))
            _roles[url] = [dict(row) for row in found.mappings()]
        _migrated[server] = url
    return _migrated[server]


async def _empty(url: str) -> None:
    """Take away what a test has left, but not what the migrations brought."""
    async with connected(url) as engine, engine.begin() as connection:
        for table in reversed(tables.metadata.sorted_tables):
            if table is not tables.audit_head:
                await connection.execute(table.delete())
        await connection.execute(tables.roles.insert(), _roles[url])
        await connection.execute(
            tables.audit_head.update().values(
                last_event_id=0, last_hash=GENESIS, first_previous_hash=GENESIS
            )
        )


@contextlib.asynccontextmanager
async def empty_database(server: URL) -> AsyncIterator[str]:
    """Create a database in a server, and drop it at the end."""
    url = await create_database(server)
    try:
        yield url
    finally:
        await _execute(server, f"DROP DATABASE {make_url(url).database}")


async def create_database(server: URL) -> str:
    """Create a database in a server, and return its URL."""
    name = f"identity_{secrets.token_hex(6)}"
    await _execute(server, f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    return server.set(database=name).render_as_string(hide_password=False)


async def migrate(url: str) -> None:
    """Give a database the schema."""
    async with opened_engine(url, pool_size=1) as engine:
        await upgrading.upgrade(engine)


@contextlib.asynccontextmanager
async def connected(
    url: str | URL,
    **options: Any,  # noqa: ANN401 - as SQLAlchemy has them
) -> AsyncIterator[AsyncEngine]:
    """An engine of the test's own, to look at what is stored."""
    engine = create_async_engine(url, **options)
    try:
        yield engine
    finally:
        await engine.dispose()


async def _execute(url: URL, statement: str) -> None:
    connecting = {"connect_timeout": 2}
    async with (
        connected(url, isolation_level="AUTOCOMMIT", connect_args=connecting) as engine,
        engine.connect() as connection,
    ):
        await connection.execute(text(statement))
