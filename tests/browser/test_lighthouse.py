"""Lighthouse on the front page and on pages of the console."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import sync_playwright
from tests.support.browser import FLAGS, chromium
from tests.support.console import watched
from tests.support.node import installed
from tests.support.ports import free_ports
from tests.support.stack import Stack

LEAST: Final = 0.95
PROGRAM: Final = Path(__file__).parent / "lighthouse"
VISITORS: Final = ("/", "/console", "/console#/sign-in", "/console#/sign-up")
ADMINS: Final = ("/console#/users", "/console#/keys", "/console#/sessions")


@pytest.fixture(scope="module")
def lighthouse() -> Path:
    chromium()
    return installed(PROGRAM)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with Stack(tmp_path, host="localhost") as running:
        yield running


@pytest.mark.faults  # three minutes
@pytest.mark.timeout(400)
def test_lighthouse_finds_every_page_accessible_and_well_made(
    stack: Stack, lighthouse: Path, tmp_path: Path
) -> None:
    """Lighthouse opens pages in the browser's own profile, so that is signed in."""
    (port,) = free_ports(1)
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path / "profile",
            executable_path=chromium(),
            args=[*FLAGS, f"--remote-debugging-port={port}"],
        )
        judged = judge(lighthouse, port, [stack.base_url + path for path in VISITORS])
        console = watched(context, stack.base_url)
        console.sign_in(stack.admin_name, stack.admin_password)
        urls = [stack.base_url + path for path in ADMINS]
        judged += judge(lighthouse, port, urls)
        context.close()

    assert len(judged) == len(VISITORS) + len(ADMINS)
    for page in judged:
        assert page["error"] is None, page
        assert min(page["scores"].values()) >= LEAST, page


def judge(lighthouse: Path, port: int, urls: list[str]) -> list[Any]:
    finished = subprocess.run(
        ["node", "judge.mjs", str(port), *urls],
        cwd=lighthouse,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return [json.loads(line) for line in finished.stdout.splitlines()]
