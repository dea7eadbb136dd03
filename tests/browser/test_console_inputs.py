"""What people enter in the console is not lost, whatever becomes of the request."""

import json
from collections.abc import Iterator
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from tests.support.browser import chromium
from tests.support.console import Console, console_in
from tests.support.stack import Stack

pytestmark = pytest.mark.timeout(180)

PASSWORD: Final = "a phrase for those who fill in forms"
PEOPLE: Final = ("one", "other")
A_PAGE: Final = 20
"""Sessions that one page of the list shows."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    chromium()
    overrides = {"IDENTITY_THROTTLE": "off", "GATEWAY_RATE_LIMITS": "off"}
    with Stack(tmp_path_factory.mktemp("inputs"), overrides) as running:
        for name in PEOPLE:
            running.sign_up(name, PASSWORD)
        yield running


def fill_sign_in(page: Page, name: str, password: str) -> None:
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def lose_session_at_profile(console: Console, stack: Stack) -> None:
    """Change the profile of a user whose session has ended meanwhile."""
    page = console.page
    console.sign_in("one", PASSWORD)
    console.follow("Profile")
    page.get_by_label("User name").fill("another-name")
    stack.end_sessions("one", PASSWORD)
    console.press("Save", "Your session has ended. Please sign in again.")


def test_what_a_user_entered_is_there_after_signing_in_again(
    stack: Stack, browser: Browser
) -> None:
    with console_in(browser, stack.base_url) as console:
        page = console.page
        lose_session_at_profile(console, stack)
        fill_sign_in(page, "one", PASSWORD)
        expect(page.locator("main h1")).to_have_text("Profile")
        expect(page.get_by_label("User name")).to_have_value("another-name")
        expect(page.get_by_label("E-mail address")).to_have_value("one@example.org")

        console.follow("Sessions")
        console.follow("Profile")
        expect(page.get_by_label("User name")).to_have_value("one")


def test_nobody_else_sees_what_a_user_entered(stack: Stack, browser: Browser) -> None:
    with console_in(browser, stack.base_url) as console:
        lose_session_at_profile(console, stack)
        fill_sign_in(console.page, "other", PASSWORD)
        expect(console.page.locator("main h1")).to_have_text("Profile")
        expect(console.page.get_by_label("User name")).to_have_value("other")


def test_a_password_is_not_kept(stack: Stack, browser: Browser) -> None:
    with console_in(browser, stack.base_url) as console:
        page = console.page
        console.sign_in("one", PASSWORD)
        console.follow("Password")
        page.get_by_label("Current password").fill(PASSWORD)
        page.get_by_label("New password").fill(f"{PASSWORD} of today")
        stack.end_sessions("one", PASSWORD)
        console.press("Change the password")
        console.expect_said("Your session has ended. Please sign in again.")
        fill_sign_in(page, "one", PASSWORD)
        expect(page.locator("main h1")).to_have_text("Password")
        console.settle()
        expect(page.get_by_label("Current password")).to_be_empty()
        expect(page.get_by_label("New password")).to_be_empty()


@pytest.mark.parametrize(
    ("title", "label", "entered"),
    [
        ("Users", "Search", "x" * 300),
        ("Audit trail", "Action", "x" * 300),
        ("Audit trail", "By user number", "9" * 30),
    ],
)
def test_a_refused_search_stays_in_its_form(
    stack: Stack, browser: Browser, title: str, label: str, entered: str
) -> None:
    with console_in(browser, stack.base_url) as console:
        console.sign_in(stack.admin_name, stack.admin_password)
        console.follow(title)
        field = console.page.get_by_label(label)
        field.fill(entered)
        field.press("Enter")
        console.expect_refused("Request id:")
        expect(field).to_have_value(entered)
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(field).to_be_focused()
        expect(console.page.get_by_role("table")).to_be_visible()


def test_a_list_stays_at_its_page(stack: Stack, browser: Browser) -> None:
    for _ in range(2 * A_PAGE):
        stack.token_of("other", PASSWORD)
    with console_in(browser, stack.base_url) as console:
        page = console.page
        console.sign_in("other", PASSWORD)
        console.open("/sessions?page=2")
        page.get_by_role("button", name="End the session").first.click()
        console.expect_said("Session ended.")
        expect(page.get_by_role("link", name="Previous page")).to_be_visible()


@pytest.mark.parametrize("path", ["/sign-up", "/password-reset"])
def test_addresses_are_judged_by_the_api(
    stack: Stack, browser: Browser, path: str
) -> None:
    """Browsers refuse letters that are not ASCII, the API takes them (RFC 6531)."""
    with console_in(browser, stack.base_url) as console:
        console.open(path)
        email = console.page.get_by_label("E-mail address")
        email.fill("jörg@example.org")
        email.press("Enter")
        expect(email).not_to_have_attribute("aria-invalid", "true")
        email.fill("no address")
        if path == "/sign-up":
            console.page.get_by_label("User name").fill("joerg")
            console.page.get_by_label("Password").fill(PASSWORD)
        with console.page.expect_response("**/api/auth/*") as response:
            email.press("Enter")
        assert response.value.status in {400, 404}  # mail is not offered here


def test_a_moment_beyond_the_calendar_is_a_fault_of_its_field(
    stack: Stack, browser: Browser
) -> None:
    with console_in(browser, stack.base_url) as console:
        console.sign_in(stack.admin_name, stack.admin_password)
        console.follow("Audit trail")
        since = console.page.get_by_label("Since")
        since.evaluate("(input) => { input.value = '12345-01-01T00:00'; }")
        console.press("Show")
        expect(since).to_be_focused()
        expect(console.page.locator("#field-since-fault")).not_to_be_empty()
        expect(console.page.get_by_role("alert")).to_be_empty()


def test_the_second_step_leads_back_to_the_first(
    stack: Stack, browser: Browser
) -> None:
    def ask_for_a_factor(route: Route) -> None:
        problem = {
            "code": "second_factor_required",
            "message": "A second factor is needed.",
            "challenge": "of this test",
            "factors": ["totp"],
        }
        media_type = "application/problem+json"
        route.fulfill(status=401, content_type=media_type, body=json.dumps(problem))

    with console_in(browser, stack.base_url) as console:
        page = console.page
        console.open("/sign-in")
        page.route("**/api/auth/signin", ask_for_a_factor)
        fill_sign_in(page, "one", PASSWORD)
        expect(page.get_by_label("Code")).to_be_focused()
        page.get_by_role("link", name="Start again").click()
        expect(page.get_by_label("User name")).to_be_visible()
        expect(page.locator("main h1")).to_be_focused()


def test_a_page_that_was_refused_is_tried_again_where_one_is(
    stack: Stack, browser: Browser
) -> None:
    with console_in(browser, stack.base_url) as console:
        page = console.page
        console.sign_in("one", PASSWORD)
        page.route("**/api/users/me/sessions", lambda route: route.abort())
        console.follow("Sessions")
        console.expect_refused("The gateway cannot be reached.")
        console.press("Try again")
        console.expect_refused("The gateway cannot be reached.")
        page.unroute("**/api/users/me/sessions")
        console.press("Try again")
        expect(page.get_by_text("This session")).to_be_visible()

        stack.end_sessions("other", PASSWORD)
        page.evaluate("document.querySelector('main table').remove()")
        console.choose("Sessions")
        expect(page.get_by_text("This session")).to_be_visible()
        console.faults.clear()  # Chromium notes the requests that failed


def test_a_session_that_cannot_be_taken_up_is_not_taken_for_none(
    stack: Stack, browser: Browser
) -> None:
    def refuse(route: Route) -> None:
        problem = {"code": "database_unavailable", "message": "Please try again soon."}
        media_type = "application/problem+json"
        route.fulfill(status=503, content_type=media_type, body=json.dumps(problem))

    with console_in(browser, stack.base_url) as console:
        page = console.page
        console.sign_in("one", PASSWORD)
        console.follow("Profile")
        page.route("**/api/auth/refreshtoken", refuse)
        page.reload()
        console.expect_refused("Please try again soon.")
        expect(page.locator("main h1")).to_have_text("Profile")
        console.follow("Resources")
        expect(page.get_by_role("button", name="Read public")).to_be_visible()
        console.expect_refused("Please try again soon.")

        page.unroute("**/api/auth/refreshtoken")
        page.go_back()
        expect(page.get_by_label("User name")).to_have_value("one")
        console.faults.clear()  # Chromium notes the requests that failed
