"""What every command says of a database or a setting that it cannot use: one line."""

import asyncio
import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from tests.support.database import DatabaseServer, empty_database
from tests.support.identity import ISSUER, PASSWORD
from tests.support.operator import Ended, Operator

from identity_service.settings import DatabaseSettings, Settings
from service_kit.settings import SettingsError, origins, read_settings

SECRET: Final = "hunter2"

COMMANDS: Final = {
    "migrate": ("migrate",),
    "schema": ("schema",),
    "create-admin": ("create-admin", "--email", "boss@example.test"),
    "roles": ("roles", "list"),
    "rotate-signing-key": ("rotate-signing-key", "--now"),
    "import-users": ("import-users", "--from", "sqlite+aiosqlite:///none.db"),
    "doctor": ("doctor",),
}

each_command: Final = pytest.mark.parametrize(
    "arguments", COMMANDS.values(), ids=COMMANDS.keys()
)


def in_one_line(ended: Ended, *words: str) -> bool:
    """Return whether a command ended as it should where it cannot begin."""
    said = [*ended.err.splitlines(), *ended.out.splitlines()]
    if ended.out:  # the doctor's: a line for each thing
        said = [line for line in said if line.startswith("fault database: ")]
    lines = [line for line in said if all(word in line for word in words)]
    assert ended.code == 2, ended
    assert len(lines) == 1, ended
    assert "Traceback" not in ended.out + ended.err
    assert SECRET not in ended.out + ended.err
    return True


@pytest.mark.parametrize(
    ("url", "words"),
    [
        pytest.param("nonsense", "is not a SQLAlchemy URL", id="no URL"),
        pytest.param(f"mysql+asyncmy://u:{SECRET}@h:{SECRET}/i", "URL", id="port"),
        pytest.param(f"postgresql://u:{SECRET}@h/i", "does not begin", id="driver"),
        pytest.param(f"mysql+asyncmy://u:{SECRET}@h", "a database", id="no database"),
        pytest.param("sqlite+aiosqlite:////nowhere/at/all.db", "folder", id="folder"),
        pytest.param("sqlite+aiosqlite:////tmp", "names a folder", id="is a folder"),
        pytest.param(
            f"sqlite+aiosqlite:////tmp/{'x' * 300}/i.db", "names a file", id="long"
        ),
    ],
)
async def test_a_wrong_url_is_one_line(url: str, words: str) -> None:
    assert in_one_line(await Operator(url).run("serve"), "IDENTITY_DATABASE_URL", words)


async def test_ctrl_c_ends_a_command_in_silence() -> None:
    is_connected, is_over = asyncio.Event(), asyncio.Event()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_connected.set()
        await reader.read()
        writer.close()
        await writer.wait_closed()
        is_over.set()

    async with await asyncio.start_server(hear, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"mysql+asyncmy://root:{SECRET}@127.0.0.1:{port}/identity"
        process = await Operator(url).start("migrate")
        await is_connected.wait()
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
        await is_over.wait()

    assert (process.returncode, err) == (130, b"")


@each_command
async def test_a_refused_connection_is_one_line(
    arguments: tuple[str, ...], unused_tcp_port: int
) -> None:
    url = f"mysql+asyncmy://root:{SECRET}@127.0.0.1:{unused_tcp_port}/identity"

    assert in_one_line(await Operator(url).run(*arguments), "connection refused")


@pytest.mark.parametrize("host", ["-x.invalid", "no..name"])
async def test_an_unknown_host_is_one_line(host: str) -> None:
    url = f"mysql+asyncmy://root:{SECRET}@{host}/identity"

    assert in_one_line(await Operator(url).run("migrate"), "unknown host")


@each_command
async def test_a_wrong_password_is_one_line(
    arguments: tuple[str, ...], database_server: DatabaseServer
) -> None:
    url = database_server.url.set(password=SECRET, database="identity")
    operator = Operator(url.render_as_string(hide_password=False))

    assert in_one_line(await operator.run(*arguments), "wrong user or password")


async def test_a_database_that_is_not_there_is_one_line(
    database_server: DatabaseServer,
) -> None:
    url = database_server.url.set(database="no_such_database")
    operator = Operator(url.render_as_string(hide_password=False))

    assert in_one_line(await operator.run("migrate"), "no such database")


async def test_what_is_no_database_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("This is no database. " * 100)

    ended = await Operator(f"sqlite+aiosqlite:///{tmp_path}/text").run("migrate")

    assert in_one_line(ended, "database: ")


def nothing(path: Path) -> None:
    del path


def folder(path: Path) -> None:
    path.mkdir()


def world_readable(path: Path) -> None:
    path.write_text(SECRET)
    path.chmod(0o644)


def latin1(path: Path) -> None:
    path.write_bytes(b"hunter2\xe9")
    path.chmod(0o600)


def endless(path: Path) -> None:
    path.write_bytes(b"x" * 100_000)
    path.chmod(0o600)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(nothing, "No such file", id="missing"),
        pytest.param(folder, "it is a folder", id="folder"),
        pytest.param(world_readable, "everybody may read", id="world-readable"),
        pytest.param(latin1, "not UTF-8", id="latin1"),
        pytest.param(endless, "more than", id="endless"),
    ],
)
def test_an_unusable_secret_file_is_one_line(
    tmp_path: Path, make: Callable[[Path], None], words: str
) -> None:
    make(tmp_path / "secret")

    with pytest.raises(SettingsError) as error:
        read_settings(
            DatabaseSettings, {"IDENTITY_DATABASE_URL_FILE": f"{tmp_path}/secret"}
        )

    (fault,) = error.value.faults
    assert fault.startswith("IDENTITY_DATABASE_URL ")
    assert words in fault
    assert SECRET not in fault
    assert "\n" not in fault


@pytest.mark.parametrize(
    "written",
    [
        "*",
        "null",
        "a.test",
        "HTTPS://A.test",
        "https://a.test/",
        "https://a.test:443",
        "https://*.a.test",
        "https://a.test,*",
    ],
)
def test_what_is_no_origin_is_one_line(written: str) -> None:
    with pytest.raises(SettingsError) as error:
        read_settings(
            Settings, {"IDENTITY_ALLOWED_ORIGINS": written, "IDENTITY_ISSUER": ISSUER}
        )

    told = [each for each in error.value.faults if "IDENTITY_ALLOWED_ORIGINS" in each]
    assert len(told) == 1
    assert "no origin" in told[0]


def test_origins_are_taken_as_browsers_write_them() -> None:
    written = "https://a.test, http://localhost:8081\nhttps://[::1]:8443"

    assert origins(written) == (
        "https://a.test",
        "http://localhost:8081",
        "https://[::1]:8443",
    )


async def test_a_sqlite_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "identity.sqlite"

    ended = await Operator(f"sqlite+aiosqlite:///{path}").run("migrate")

    assert ended.code == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("file", ["/nowhere/at/all", "/", "/dev/zero"])
async def test_a_file_that_cannot_be_read_is_one_line(
    tmp_path: Path, file: str
) -> None:
    operator = Operator(f"sqlite+aiosqlite:///{tmp_path}/identity.sqlite")
    await operator.run("migrate")

    creating = ("create-admin", "--email", "boss@example.test", "--password-file", file)
    ended = await operator.run(*creating)
    planned = await operator.run("plan", file)

    assert in_one_line(ended, "--password-file cannot be read")
    assert in_one_line(planned, f"{file}: ")


async def test_a_plan_and_a_password_come_by_pipes(tmp_path: Path) -> None:
    operator = Operator(f"sqlite+aiosqlite:///{tmp_path}/identity.sqlite")
    await operator.run("migrate")
    creating = ("create-admin", "--email", "boss@example.test", "--password-file")

    by_pipe = 'echo "%s" | "$@" /dev/stdin'
    created = await operator.run_in_shell(by_pipe % PASSWORD, *creating)
    planned = await operator.run_in_shell(by_pipe % "[roles] # empty", "plan")

    assert (created.code, created.out) == (0, "admin is an administrator now\n"), (
        created
    )
    assert (planned.code, planned.out) == (0, "nothing differs\n"), planned


async def test_the_tutorials_url_comes_by_file_and_a_password_in_arguments_is_warned_of(
    tmp_path: Path, database_server: DatabaseServer
) -> None:
    operator = Operator(f"sqlite+aiosqlite:///{tmp_path}/identity.sqlite")
    await operator.run("migrate")
    file = tmp_path / "url"
    async with empty_database(database_server.url) as url:
        file.write_text(f"{url}\n")
        file.chmod(0o600)
        by_file = await operator.run(
            "import-users", TUTORIAL_DATABASE_URL_FILE=str(file)
        )
        by_argument = await operator.run("import-users", "--from", url)
    neither = await operator.run("import-users")

    assert (by_file.code, "warning" in by_file.err) == (1, False)
    assert "missing: roles, user_roles, users" in by_file.err
    assert (by_argument.code, "warning" in by_argument.err) == (1, True)
    assert in_one_line(neither, "TUTORIAL_DATABASE_URL_FILE")


@pytest.mark.parametrize("number", ["-1", str(2**63), "x"])
@pytest.mark.parametrize(
    "arguments",
    [
        ("export-users", "--after-id"),
        ("import-users", "--after-id"),
        ("import-users", "--lines", "-", "--after-line"),
    ],
    ids=" ".join,
)
async def test_a_place_to_go_on_from_is_a_number(
    arguments: tuple[str, ...], number: str
) -> None:
    ended = await Operator("sqlite+aiosqlite:///none.db").run(*arguments, number)
    assert ended.code == 2
    assert ended.err.splitlines()[-1].endswith(f"invalid number value: '{number}'")


@pytest.mark.parametrize(
    "arguments",
    [
        ("create-admin", "--username"),
        ("create-admin", "--email"),
        ("reset-password",),
        ("reset-factors",),
        ("mail", "resend"),
    ],
    ids=" ".join,
)
async def test_an_argument_that_is_not_utf8_is_refused(
    arguments: tuple[str, ...],
) -> None:
    ended = await Operator("sqlite+aiosqlite:///none.db").run(*arguments, "\udcff")
    assert ended.code == 2
    assert ended.err.splitlines()[-1].endswith(r"invalid utf8 value: '\udcff'")


async def test_a_name_that_the_output_cannot_encode_is_escaped(tmp_path: Path) -> None:
    operator = Operator(f"sqlite+aiosqlite:///{tmp_path}/i.sqlite")
    await operator.run("migrate")
    ended = await operator.run(
        *("create-admin", "--username", "Søren", "--email", "s@example.test"),
        PYTHONIOENCODING="ascii",
    )
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("S\\xf8ren is an administrator now\npassword, ")


async def test_an_output_that_takes_nothing_is_one_line(tmp_path: Path) -> None:
    operator = Operator(f"sqlite+aiosqlite:///{tmp_path}/i.sqlite")
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        ended = await operator.run_with(
            "migrate", stdin=asyncio.subprocess.DEVNULL, stdout=full
        )
    finally:
        os.close(full)
    assert ended.code == 2
    assert ended.err == "the output is lost: No space left on device\n"


async def test_a_reader_that_leaves_spoils_no_command(tmp_path: Path) -> None:
    """As `head` does, once it has seen enough."""
    operator = Operator(f"sqlite+aiosqlite:///{tmp_path}/identity.db")
    assert (await operator.run("migrate")).code == 0
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = await operator.run_with(
            "roles", "list", stdin=asyncio.subprocess.DEVNULL, stdout=writing
        )
    finally:
        os.close(writing)
    assert (ended.code, ended.err) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "environ", "code"),
    [
        (("export-users", "--to", "{folder}/users"), {}, 0),
        (("check",), {"IDENTITY_THROTTLE": "off"}, 0),
        (("roles", "remove", "nonsense"), {}, 1),
        (("check",), {"IDENTITY_THROTTLE": "nonsense"}, 2),
    ],
    ids=["progress", "warning", "refusal", "fault"],
)
@pytest.mark.parametrize("stderr", ["2>/dev/full", "2>&-"])
async def test_notices_that_nothing_takes_spoil_no_command(
    tmp_path: Path,
    stderr: str,
    arguments: tuple[str, ...],
    environ: dict[str, str],
    code: int,
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/identity.db"
    for preparing in (("migrate",), ("create-admin", "--email", "boss@example.test")):
        assert (await Operator(url).run(*preparing)).code == 0
    placed = (each.format(folder=tmp_path) for each in arguments)

    ended = await Operator(url, **environ).run_in_shell(f'exec "$@" {stderr}', *placed)

    assert ended.code == code
    assert (tmp_path / "users").exists() == ("--to" in arguments)


async def test_a_password_that_nobody_types_is_one_line(tmp_path: Path) -> None:
    operator = Operator(f"sqlite+aiosqlite:///{tmp_path}/identity.db")
    assert (await operator.run("migrate")).code == 0
    ours, theirs = os.openpty()

    async def end_input() -> None:
        while True:  # what is typed before the prompt is dropped
            os.write(ours, b"\x04")
            await asyncio.sleep(0.2)

    typing = asyncio.create_task(end_input())
    try:
        ended = await operator.run_with(
            *("create-admin", "--email", "boss@example.test"),
            stdin=theirs,
            stdout=asyncio.subprocess.DEVNULL,
        )
    finally:
        typing.cancel()
        os.close(ours)
        os.close(theirs)
    assert ended.code == 2
    assert ended.err.splitlines()[-1].endswith("no password was given")
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("roles", "list"), 0),
        (("create-admin", "--email", "boss@example.test"), 0),
        (("create-admin", "--email", "boss@example.test", "--password-stdin"), 1),
        (("import-users", "--lines", "-"), 0),
        (("export-users",), 0),
    ],
    ids=["roles", "password made", "password read", "import", "export"],
)
async def test_a_command_ends_as_it_should_where_standard_streams_are_closed(
    tmp_path: Path, arguments: tuple[str, ...], code: int
) -> None:
    operator = Operator(f"sqlite+aiosqlite:///{tmp_path}/identity.sqlite")
    await operator.run("migrate")

    ended = await operator.run_in_shell('exec "$@" <&- >&-', *arguments)

    assert ended.code == code
    assert "crashed" not in ended.err
