"""Several windows of one browser, which share a cookie, and a session that ends."""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import pytest
from playwright.sync_api import Browser, Request, expect
from tests.support.browser import chromium
from tests.support.console import Console, console_in, watched
from tests.support.stack import Stack

pytestmark = pytest.mark.timeout(180)

PASSWORD: Final = "a phrase for the people of two windows"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A refresh token is good once, without grace."""
    chromium()
    overrides = {
        "IDENTITY_REFRESH_GRACE": "0",
        "IDENTITY_THROTTLE": "off",
        "GATEWAY_RATE_LIMITS": "off",
    }
    folder = tmp_path_factory.mktemp("windows")
    with Stack(folder, overrides, host="localhost") as running:
        for name in ("one", "other"):
            running.sign_up(name, PASSWORD)
        yield running


def second_window(console: Console) -> Console:
    other = watched(console.page.context, console.base_url)
    other.faults = console.faults
    other.open()
    return other


def give_role(stack: Stack, name: str, role: str) -> None:
    """Give somebody a role, which ends their access tokens and no session."""
    token = stack.token_of(stack.admin_name, stack.admin_password)
    found = stack.send("GET", f"/api/users?search={name}", token=token).json()
    path = f"/api/users/{found['users'][0]['id']}/roles"
    roles = {"roles": ["user", role]}
    assert stack.send("PUT", path, roles, token=token).status == 200


def slow(window: Console) -> None:
    """Have each response of a window come late, so that requests would overlap."""
    devtools = window.page.context.new_cdp_session(window.page)
    devtools.send("Network.enable")
    conditions = {"latency": 700, "downloadThroughput": -1, "uploadThroughput": -1}
    devtools.send("Network.emulateNetworkConditions", {"offline": False, **conditions})


def test_windows_whose_tokens_end_at_once_refresh_one_after_the_other(
    stack: Stack, browser: Browser
) -> None:
    """Two uses of one refresh token would end the session."""
    with console_in(browser, stack.base_url) as console:
        console.sign_in("one", PASSWORD)
        windows = [console, second_window(console)]
        finished: list[Request] = []
        console.page.context.on(
            "requestfinished",
            lambda request: (
                finished.append(request) if "refreshtoken" in request.url else None
            ),
        )
        for each in windows:
            slow(each)
        give_role(stack, "one", "moderator")
        for each in windows:  # none waits for the other
            each.page.evaluate("() => { location.hash = '#/sessions' }")
        for each in windows:
            expect(each.page.get_by_text("This session")).to_be_visible(timeout=30_000)
        times = sorted(
            (begun := each.timing["startTime"], begun + each.timing["responseStart"])
            for each in finished
        )
        assert len(times) >= 2
        assert all(ended <= begun for (_, ended), (begun, _) in pairwise(times))


def test_a_window_follows_who_signs_out_and_in_elsewhere(
    stack: Stack, browser: Browser
) -> None:
    with console_in(browser, stack.base_url) as console:
        console.sign_in("one", PASSWORD)
        other = second_window(console)
        expect(other.page.locator("#who")).to_contain_text("one")
        console.page.get_by_role("button", name="Sign out").click()
        other.expect_said("Your session has ended. Please sign in again.")
        expect(other.page.locator("#who")).to_contain_text("Sign in")

        console.sign_in("other", PASSWORD)
        other.expect_said("other has signed in in another window.")
        other.follow("Profile")
        expect(other.page.get_by_label("User name")).to_have_value("other")


def test_the_way_back_from_a_sign_in_is_no_fault(
    stack: Stack, browser: Browser
) -> None:
    with console_in(browser, stack.base_url) as console:
        page = console.page
        console.open("/resources")
        console.choose("Sign in")
        page.get_by_label("User name").fill("one")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()
        console.expect_said("You are signed in as one.")
        page.go_back()
        expect(page).to_have_url(re.compile("#/$"))
        expect(page.locator("main h1")).to_have_text("Start")
        expect(page.get_by_role("alert")).to_be_empty()
        page.go_back()
        expect(page.locator("main h1")).to_have_text("Resources")


def test_the_way_back_and_forward_and_a_reload_keep_the_page(
    stack: Stack, browser: Browser
) -> None:
    with console_in(browser, stack.base_url) as console:
        page = console.page
        console.sign_in("one", PASSWORD)
        console.follow("Profile")
        console.follow("Sessions")
        page.go_back()
        expect(page.locator("main h1")).to_have_text("Profile")
        page.go_forward()
        expect(page.locator("main h1")).to_have_text("Sessions")
        page.reload()
        console.settle()
        expect(page.locator("main h1")).to_have_text("Sessions")
        expect(page.get_by_text("This session")).to_be_visible()


def test_a_form_outlives_a_session_whose_end_another_window_found(
    stack: Stack, browser: Browser
) -> None:
    with console_in(browser, stack.base_url) as console:
        console.sign_in("one", PASSWORD)
        other = second_window(console)
        other.follow("Profile")
        other.page.get_by_label("User name").fill("half a na")
        stack.end_sessions("one", PASSWORD)
        console.choose("Sessions")
        for each in (console, other):
            each.expect_said("Your session has ended. Please sign in again.")
        other.page.get_by_label("User name").fill("one")
        other.page.get_by_label("Password").fill(PASSWORD)
        other.page.get_by_role("button", name="Sign in", exact=True).click()
        expect(other.page.locator("main h1")).to_have_text("Profile")
        expect(other.page.get_by_label("User name")).to_have_value("half a na")


def test_the_menu_is_of_the_roles_that_a_new_token_has(
    stack: Stack, browser: Browser
) -> None:
    with console_in(browser, stack.base_url) as console:
        console.sign_in("other", PASSWORD)
        assert "Users" not in console.menu()
        give_role(stack, "other", "admin")
        console.follow("Sessions")
        console.follow("Users")
        give_role(stack, "other", "moderator")
        console.choose("Users")
        console.expect_refused("Require Admin Role!")
        expect(console.page.locator("#side")).not_to_contain_text("Users")
