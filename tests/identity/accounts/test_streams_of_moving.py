"""Lines of users come and go by standard streams, whatever is at their other end."""

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import insert
from tests.support.database import connected, migrate
from tests.support.operator import Operator

from identity_service.domain.accounts.emails import EmailAddress
from identity_service.domain.accounts.usernames import Username
from identity_service.domain.accounts.users import NewUser
from identity_service.storage.tables import users
from identity_service.storage.users.queries import user_columns
from service_kit.clock import utc_now

MANY: Final = 500
"""Their lines fill a pipe."""


@pytest.fixture
async def url(tmp_path: Path) -> str:
    url = f"sqlite+aiosqlite:///{tmp_path}/identity.sqlite"
    await migrate(url)
    return url


async def add_users(url: str, *names: str) -> None:
    people = [
        NewUser(
            username=Username.parse(name),
            email=EmailAddress.parse(f"user{n}@example.test"),
            password_hash="$2b$04$bjeJVpYhLZOgyXE8iDP2lO4aXl36o2fzAIJcnFyQT/gR1yzW5sJ7y",
            roles=frozenset(),
            created_at=utc_now(),
        )
        for n, name in enumerate(names)
    ]
    async with connected(url) as engine, engine.begin() as connection:
        await connection.execute(insert(users), [*map(user_columns, people)])


async def interrupted(process: asyncio.subprocess.Process) -> int:
    """Press Ctrl-C, and return the exit code."""
    process.send_signal(signal.SIGINT)
    try:
        async with asyncio.timeout(10):
            return await process.wait()
    finally:
        if process.returncode is None:
            process.kill()


async def test_ctrl_c_ends_an_import_that_waits_for_lines(url: str) -> None:
    process = await Operator(url).start("import-users", "--lines", "-")
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write(b"nonsense\n" * 50)
    assert await process.stderr.readline() == b"up to line 50\n"

    assert await interrupted(process) == 130


async def test_ctrl_c_ends_an_export_that_waits_for_its_reader(url: str) -> None:
    await add_users(url, *(f"user{n}" for n in range(MANY)))
    reading, writing = os.pipe()
    try:
        process = await Operator(url).start("export-users", stdout=writing)
        await asyncio.to_thread(os.read, reading, 1)

        assert await interrupted(process) == 130
    finally:
        os.close(reading)
        os.close(writing)


async def test_lines_are_in_utf_8_whatever_the_terminal_has(url: str) -> None:
    await add_users(url, "Søren")

    exported = await Operator(url).run("export-users", PYTHONIOENCODING="ascii")

    assert json.loads(exported.out)["username"] == "Søren"
