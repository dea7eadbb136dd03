"""The API reference in a real browser: drawn, tried, and asking only the gateway."""

import asyncio
import json
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect
from tests.support.browser import FLAGS, chromium
from tests.support.console import console_in, running_browser
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


@pytest.mark.timeout(120)
def test_axe_finds_nothing_critical_in_the_reference(stack: Stack) -> None:
    """What else it finds is Swagger UI's own."""
    with (
        running_browser() as browser,
        console_in(browser, stack.base_url) as console,
    ):
        console.page.goto(f"{stack.base_url}/docs")
        expect(console.page.locator("#operations-Content-readAll")).to_be_visible()
        console.judge("reference")
        critical = [each for each in console.faults if "critical:" in each]
        console.faults.clear()
        assert critical == []


def execute(operation: Locator, expected: str) -> None:
    """Send the request, and wait until the response with a status is shown."""
    operation.get_by_role("button", name="Execute").click()
    shown = operation.locator(".live-responses-table tbody .response-col_status")
    expect(shown).to_contain_text(expected, timeout=30_000)


@pytest.mark.timeout(120)
def test_an_operation_is_tried_without_and_with_a_token(stack: Stack) -> None:
    with (
        running_browser() as browser,
        console_in(browser, stack.base_url) as console,
    ):
        page = console.page
        page.goto(f"{stack.base_url}/docs#/Content/readUser")
        operation = page.locator("#operations-Content-readUser")
        execute(operation, "401")

        page.locator(".auth-wrapper .authorize").first.click()
        dialog = page.locator(".dialog-ux")
        bearer = dialog.locator(".auth-container", has_text="(http, Bearer)")
        bearer.locator("input").fill(
            stack.token_of(stack.admin_name, stack.admin_password)
        )
        bearer.get_by_role("button", name="Apply credentials").click()
        dialog.get_by_role("button", name="Close").first.click()

        execute(operation, "200")
        shown = operation.locator(".live-responses-table")
        expect(shown).to_contain_text("User Content.")


@pytest.mark.timeout(120)
def test_a_body_of_ones_own_is_sent(stack: Stack) -> None:
    with (
        running_browser() as browser,
        console_in(browser, stack.base_url) as console,
    ):
        page = console.page
        page.goto(f"{stack.base_url}/docs#/Signing%20in/signUp")
        operation = page.locator("#operations-Signing_in-signUp")
        who = {"username": "tried", "email": "tried@example.org", "password": "short"}
        operation.locator("textarea.body-param__text").fill(json.dumps(who))
        execute(operation, "400")
        expect(operation.locator(".live-responses-table")).to_contain_text("password")
        who["password"] = "a phrase of my own"
        operation.locator("textarea.body-param__text").fill(json.dumps(who))
        execute(operation, "200")


def test_a_viewer_that_cannot_be_fetched_is_told_of_in_words(stack: Stack) -> None:
    with (
        running_browser() as browser,
        console_in(browser, stack.base_url) as console,
    ):
        page = console.page
        page.route("**/swagger-ui-bundle.js", lambda route: route.abort())
        page.goto(f"{stack.base_url}/docs")
        expect(page.get_by_role("alert")).to_contain_text("could not be loaded")
        console.faults.clear()  # Chromium notes the request that failed
