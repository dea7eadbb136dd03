"""A server whose binary log forbids what identity does."""

import contextlib
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.support.database import (
    DatabaseServer,
    connected,
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


def server(
    folder: Path, binary_log: str
) -> contextlib.AbstractContextManager[DatabaseServer]:
    options = ("--server-id=1", f"--binlog-format={binary_log}")
    return running_server(folder, f"--log-bin={folder}/log", *options)


async def test_statement_format_is_named_by_readiness_and_doctor(
    tmp_path: Path,
) -> None:
    with server(tmp_path, "MIXED") as running:
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
async def test_other_formats_are_well(tmp_path: Path, binary_log: str) -> None:
    with server(tmp_path, binary_log) as running:
        async with empty_database(running.url) as url:
            await migrate(url)
            async with running_identity(identity_settings(url)) as client:
                assert (await client.sign_up("alice")).status == 200
