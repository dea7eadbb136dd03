"""The pages at 400 % zoom: a window 320 pixels wide and 256 high (WCAG 1.4.10)."""

from collections.abc import Iterator
from typing import Final

import pytest
from playwright.sync_api import Browser, expect
from tests.support.browser import chromium
from tests.support.console import PHONE, console_in
from tests.support.stack import Stack

pytestmark = pytest.mark.timeout(180)

ZOOMED: Final = (320, 256)
PASSWORD: Final = "a phrase for the long-named"
LONG_NAME: Final = "a" * 64
LONG_ROLE: Final = "w" * 32
LONG_EMAIL: Final = f"{'b' * 60}@example.org"

COVERED: Final = """() => {
  const at = document.activeElement;
  const {left, top, width, height} = at.getBoundingClientRect();
  const found = document.elementFromPoint(left + width / 2, top + height / 2);
  return found === null || !(at.contains(found) || found.contains(at));
}"""
"""Whether something else is in front of the element that has the focus."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    chromium()
    overrides = {"IDENTITY_THROTTLE": "off", "GATEWAY_RATE_LIMITS": "off"}
    with Stack(tmp_path_factory.mktemp("zoomed"), overrides) as running:
        who = {"username": LONG_NAME, "email": LONG_EMAIL}
        body = {**who, "password": PASSWORD}
        assert running.send("POST", "/api/auth/signup", body).status == 200
        yield running


@pytest.mark.parametrize("path", ["/", "/problems", "/problems/email_unconfirmed"])
def test_the_gateways_own_pages_fit(stack: Stack, browser: Browser, path: str) -> None:
    with console_in(browser, stack.base_url, ZOOMED) as console:
        console.page.goto(f"{stack.base_url}{path}")
        console.judge(f"zoomed{path.replace('/', '-')}")


def test_the_console_fits_with_long_names(stack: Stack, browser: Browser) -> None:
    with console_in(browser, stack.base_url, ZOOMED) as console:
        console.sign_in(stack.admin_name, stack.admin_password)
        for name in console.menu():
            console.follow(name)
            console.judge(f"zoomed-{name.lower().replace(' ', '-')}")
        console.follow("Users")
        console.page.get_by_role("link", name=LONG_NAME).click()
        expect(console.page.get_by_text(LONG_EMAIL)).to_be_visible()
        console.judge("zoomed-user")


def test_a_long_name_of_ones_own_fits(stack: Stack, browser: Browser) -> None:
    with console_in(browser, stack.base_url, ZOOMED) as console:
        console.sign_in(LONG_NAME, PASSWORD)
        console.judge("zoomed-own-name")
        console.follow("Profile")
        console.judge("zoomed-own-profile")


def test_the_id_of_a_refused_request_fits(stack: Stack, browser: Browser) -> None:
    with console_in(browser, stack.base_url, ZOOMED) as console:
        console.open("/sign-in")
        console.page.get_by_label("User name").fill(LONG_NAME)
        console.page.get_by_label("Password").fill("not the password")
        console.page.get_by_role("button", name="Sign in", exact=True).click()
        console.expect_refused("Request id:")
        console.judge("zoomed-refused")


def test_a_long_role_fits(stack: Stack, browser: Browser) -> None:
    with console_in(browser, stack.base_url, ZOOMED) as console:
        page = console.page
        console.sign_in(stack.admin_name, stack.admin_password)
        console.follow("Roles")
        page.get_by_label("Name").fill(LONG_ROLE)
        page.get_by_label("Description").fill("w" * 60)
        console.press("Add", LONG_ROLE)
        console.judge("zoomed-role")
        console.open("/user?id=2")
        page.get_by_label(LONG_ROLE).check()
        console.press("Save the roles", LONG_ROLE)
        console.judge("zoomed-role-of-user")
        console.follow("Users")
        console.judge("zoomed-role-in-list")


@pytest.mark.parametrize("size", [ZOOMED, PHONE], ids=["zoomed", "phone"])
def test_nothing_covers_what_has_the_focus(
    stack: Stack, browser: Browser, size: tuple[int, int]
) -> None:
    with console_in(browser, stack.base_url, size) as console:
        page = console.page
        console.sign_in(stack.admin_name, stack.admin_password)
        console.open("/user?id=2")
        console.press("Save the roles", "now has the roles user")
        page.locator("main h1").focus()
        stops = len(page.locator("main :is(input, button, a)").all())
        covered = []
        for key in ["Tab"] * stops + ["Shift+Tab"] * (stops - 1):
            page.keyboard.press(key)
            if page.evaluate(COVERED):
                covered.append((key, page.evaluate("document.activeElement.outerHTML")))
        assert covered == []
