"""The API reference in a real browser: drawn, and asking nobody but the gateway."""

import asyncio
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.browser import FLAGS, chromium
from tests.support.stack import Stack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    chromium()
    with Stack(tmp_path_factory.mktemp("reference")) as running:
        yield running


async def test_the_reference_shows_every_operation_under_its_own_policy(
    stack: Stack, tmp_path: Path
) -> None:
    browser = await asyncio.create_subprocess_exec(
        chromium(),
        *FLAGS,
        f"--user-data-dir={tmp_path}",
        "--enable-logging=stderr",
        "--virtual-time-budget=20000",
        "--dump-dom",
        f"{stack.base_url}/docs#/Signing%20in/signIn",
        stdout=PIPE,
        stderr=PIPE,
    )
    async with asyncio.timeout(60):
        shown, logged = await browser.communicate()

    assert b"operations-Signing_in-signIn" in shown
    assert b"operations-Content-readAdmin" in shown
    assert b'class="btn execute' in shown, "deep links open an operation to try it"
    assert [line for line in logged.splitlines() if b"CONSOLE" in line] == []
