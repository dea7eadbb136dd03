"""The console by keyboard, with a password manager, in a browser that is German."""

import re
from collections.abc import Iterator
from typing import Final

import pytest
from playwright.sync_api import Browser, Route, expect
from tests.support.browser import chromium
from tests.support.console import console_in, watched
from tests.support.stack import Stack

pytestmark = pytest.mark.timeout(180)

PASSWORD: Final = "a phrase for those who need help"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    chromium()
    overrides = {"IDENTITY_THROTTLE": "off", "GATEWAY_RATE_LIMITS": "off"}
    with Stack(tmp_path_factory.mktemp("helps"), overrides) as running:
        running.sign_up("one", PASSWORD)
        yield running


def test_the_focus_goes_back_when_a_notice_is_dismissed(
    stack: Stack, browser: Browser
) -> None:
    with console_in(browser, stack.base_url) as console:
        page = console.page
        console.open("/resources")
        read = page.get_by_role("button", name="Read admin")
        read.press("Enter")
        console.expect_said("Admin: 401")
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Dismiss")).to_be_focused()
        page.keyboard.press("Enter")
        expect(read).to_be_focused()


def test_each_text_says_its_language(stack: Stack, browser: Browser) -> None:
    """The console is English, the API speaks as the browser prefers."""
    context = browser.new_context(locale="de-DE")
    try:
        page = context.new_page()
        page.goto(f"{stack.base_url}/console#/sign-up")
        page.get_by_label("User name").fill("somebody")
        page.get_by_label("E-mail address").fill("somebody@example.org")
        page.get_by_label("Password").fill("short")
        page.get_by_role("button", name="Sign up").click()
        refused = page.get_by_role("alert")
        expect(refused.locator("[lang=de]")).to_contain_text("Passwort")
        fault = page.locator("#field-password-fault")
        expect(fault).to_contain_text("Ein Passwort hat")
        expect(fault).to_have_attribute("lang", "de")
        page.get_by_label("Password").fill("")
        page.get_by_role("button", name="Sign up").click()
        expect(fault).to_have_attribute("lang", "de-DE")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign up").click()
        said = page.get_by_role("status")
        expect(said.locator("[lang=de]")).to_have_text("Das Konto ist angelegt!")
        expect(said).to_contain_text("If a mail asks you to confirm")

        page.goto(f"{stack.base_url}/console#/resources")
        page.get_by_role("button", name="Read user").click()
        expect(said.locator("[lang=de]")).to_have_text("Kein Token mitgesendet!")
        expect(page.locator("main dd [lang=de]")).to_be_visible()
    finally:
        context.close()


def test_a_moment_says_its_language(stack: Stack, browser: Browser) -> None:
    context = browser.new_context(locale="de-DE")
    try:
        console = watched(context, stack.base_url)
        console.sign_in("one", PASSWORD)
        console.follow("Profile")
        moment = console.page.locator("main time")
        expect(moment).to_have_attribute("lang", "de-DE")
        expect(moment).to_contain_text(re.compile(r"\d\d\.\d\d\.\d{4}, "))
    finally:
        context.close()


def test_a_text_whose_language_nobody_says_is_marked_with_none(
    stack: Stack, browser: Browser
) -> None:
    def refuse(route: Route) -> None:
        errors = [{"field": "username", "message": "Non."}]
        route.fulfill(status=400, json={"message": "Non.", "errors": errors})

    def give_no_reason(route: Route) -> None:
        route.fulfill(status=404, headers={"Content-Language": "fr"}, body="Non.")

    with console_in(browser, stack.base_url) as console:
        page = console.page
        console.open("/sign-up")
        page.get_by_label("User name").fill("somebody")
        page.get_by_label("E-mail address").fill("somebody@example.org")
        page.get_by_label("Password").fill(PASSWORD)
        page.route("**/api/auth/signup", refuse)
        console.press("Sign up")
        fault = page.locator("#field-username-fault")
        expect(fault).to_have_text("Non.")
        expect(fault).to_have_attribute("lang", "")
        page.route("**/api/auth/signup", give_no_reason)
        console.press("Sign up")
        console.expect_refused("The server responded with 404")
        expect(page.get_by_role("alert").locator("[lang]")).to_have_count(0)


def test_password_managers_find_the_name_beside_every_password(
    stack: Stack, browser: Browser
) -> None:
    with console_in(browser, stack.base_url) as console:
        page = console.page
        for path in ("/sign-up", "/sign-in"):
            console.open(path)
            name = page.get_by_label("User name").get_attribute("autocomplete")
            assert name is not None
            assert "username" in name.split()
        console.sign_in("one", PASSWORD)
        console.follow("Password")
        form = page.locator("main form")
        owner = form.locator("[autocomplete=username]")
        expect(owner).to_have_value("one")
        expect(owner).to_be_hidden()
        kinds = form.locator("[type=password]").evaluate_all(
            "(all) => all.map((each) => each.autocomplete)"
        )
        assert kinds == ["current-password", "new-password"]
