"""The contract, row by row, through three real processes."""

import asyncio
from collections.abc import Iterator

import pytest
from tests.support.contract_walk import ROWS, walking
from tests.support.stack import Stack

IDS = [row.__name__ for row in ROWS]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(scope="module")
def compat_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("compat")
    compat = {"TUTORIAL_COMPAT": "true", "GATEWAY_ALLOW_CREDENTIALS": "true"}
    with Stack(folder, compat) as running:
        yield running


@pytest.mark.parametrize("row", ROWS, ids=IDS)
async def test_contract(stack: Stack, row: object) -> None:
    assert callable(row)
    async with walking(stack.base_url, stack.admin_name, stack.admin_password) as walk:
        await row(walk)


@pytest.mark.parametrize("row", ROWS, ids=IDS)
async def test_contract_in_the_tutorial_profile(
    compat_stack: Stack, row: object
) -> None:
    assert callable(row)
    async with walking(
        compat_stack.base_url,
        compat_stack.admin_name,
        compat_stack.admin_password,
        compat=True,
    ) as walk:
        await row(walk)


async def test_no_log_holds_a_secret_and_every_line_is_json(stack: Stack) -> None:
    async with walking(stack.base_url, stack.admin_name, stack.admin_password) as walk:
        for row in ROWS:
            await row(walk)
    await asyncio.sleep(1.5)  # the access log is written in batches
    used = {*walk.used_secrets, *stack.keys, stack.admin_password}

    for name in ("gateway", "identity", "content", "commands"):
        log = stack.log_path(name).read_text()
        assert not [secret for secret in used if secret in log], name
        assert not [secret for secret in used if secret.split(".")[-1] in log], name
        assert "Traceback" not in log, name
    for name in ("gateway", "identity", "content"):
        assert stack.entries(name), name
