"""A server whose binary log forbids what identity does."""

import contextlib
from collections.abc import Iterator

import pytest
from sqlalchemy import text
from tests.support.database import (
    DatabaseServer,
    connected,
    database_folder,
    empty_database,
    migrate,
    running_server,
)
from tests.support.identity import (
    identity_settings,
    running_identity,
    starting_identity,
)
from tests.support.operator import Operator


@contextlib.contextmanager
def server(binary_log: str) -> Iterator[DatabaseServer]:
    with (
        database_folder() as folder,
        running_server(
            folder,
            f"--log-bin={folder}/log",
            "--server-id=1",
            f"--binlog-format={binary_log}",
        ) as running,
    ):
        yield running


async def test_statement_format_is_named_by_readiness_and_doctor() -> None:
    with server("MIXED") as running:
        async with empty_database(running.url) as url:
            await migrate(url)
            async with connected(url) as engine, engine.connect() as connection:
                await connection.execute(text("SET GLOBAL binlog_format = STATEMENT"))
            async with starting_identity(identity_settings(url)) as (client, readiness):
                fault = (await readiness.faults())["database"]
                refused = await client.sign_up("alice")
            doctor = await Operator(url).run("doctor")

    assert "binlog_format" in fault
    assert refused.status == 503
    assert doctor.code == 1
    assert "fault database: binlog_format is STATEMENT" in doctor.out


@pytest.mark.parametrize("binary_log", ["MIXED", "ROW"])
async def test_other_formats_are_well(binary_log: str) -> None:
    with server(binary_log) as running:
        async with empty_database(running.url) as url:
            await migrate(url)
            async with running_identity(identity_settings(url)) as client:
                assert (await client.sign_up("alice")).status == 200
