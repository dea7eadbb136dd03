"""What the console makes of mails about addresses, and of mailed codes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import expect
from tests.support.browser import chromium
from tests.support.console import console_in, mailed, running_browser
from tests.support.stack import Stack

PASSWORD: Final = "a phrase for those who read their mail"


@pytest.fixture
def mails(tmp_path: Path) -> Path:
    folder = tmp_path / "mails"
    folder.mkdir()
    return folder


@pytest.fixture
def stack(tmp_path: Path, mails: Path) -> Iterator[Stack]:
    chromium()
    overrides = {
        "IDENTITY_EMAIL_VERIFICATION": "optional",
        "IDENTITY_MAIL_URL": f"file://{mails}",
        "IDENTITY_SIGN_IN_CODES": "on",
        "IDENTITY_THROTTLE": "off",
    }
    with Stack(tmp_path, overrides) as running:
        yield running


@pytest.mark.timeout(300)
def test_an_address_is_confirmed_changed_and_signed_in_by(
    stack: Stack, mails: Path
) -> None:
    with (
        running_browser() as browser,
        console_in(browser, stack.base_url) as console,
    ):
        page = console.page
        console.open("/sign-up")
        page.get_by_label("User name").fill("reader")
        page.get_by_label("E-mail address").fill("reader@example.org")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign up").click()
        console.expect_said("User registered successfully!")
        console.sign_in("reader", PASSWORD)
        console.follow("Profile")
        expect(page.get_by_text("Address not confirmed")).to_be_visible()

        link = r"http\S+#/email-verification\S+"
        page.goto(mailed(mails, "reader@example.org", link, page))
        console.settle()
        assert "token" not in page.url
        console.judge("email-verification")
        page.get_by_role("button", name="Confirm").click()
        console.expect_said("E-mail address confirmed.")
        expect(page.get_by_text("Address not confirmed")).to_have_count(0)

        page.get_by_label("E-mail address").fill("moved@example.org")
        page.get_by_role("button", name="Save").click()
        console.expect_said("A mail is on its way.")
        link = r"http\S+#/email-change\S+"
        page.goto(mailed(mails, "moved@example.org", link, page))
        console.settle()
        page.get_by_role("button", name="Confirm").click()
        console.expect_said("E-mail address changed.")
        page.get_by_role("button", name="Sign out").click()
        console.expect_said("You've been signed out!")

        console.open("/sign-in")
        page.get_by_role("link", name="Sign in by a mailed code").click()
        console.settle()
        page.get_by_label("E-mail address").fill("moved@example.org")
        page.get_by_role("button", name="Send the code").click()
        code = mailed(mails, "moved@example.org", r"^[0-9]{8}\b", page)
        console.judge("sign-in-code")
        page.get_by_label("Code").fill(code)
        page.get_by_role("button", name="Sign in", exact=True).click()
        console.expect_said("You are signed in as reader.")


@pytest.mark.timeout(300)
def test_somebody_is_invited_and_leaves(stack: Stack, mails: Path) -> None:
    with (
        running_browser() as browser,
        console_in(browser, stack.base_url) as console,
    ):
        page = console.page
        console.sign_in(stack.admin_name, stack.admin_password)
        console.follow("New user")
        page.get_by_label("User name").fill("guest")
        page.get_by_label("E-mail address").fill("guest@example.org")
        page.get_by_label("Invite by a mail").check()
        page.get_by_role("button", name="Make the user").click()
        console.expect_said("guest is invited by a mail.")
        page.get_by_role("button", name="Sign out").click()
        console.expect_said("You've been signed out!")

        link = r"http\S+#/password-reset\S+"
        page.goto(mailed(mails, "guest@example.org", link, page))
        console.settle()
        page.get_by_label("New password").fill(PASSWORD)
        page.get_by_role("button", name="Change the password").click()
        console.expect_said("Please sign in with it.")
        console.sign_in("guest", PASSWORD)
        console.follow("Leaving")
        console.judge("leaving")
        with page.expect_download() as saved:
            page.get_by_role("button", name="Save the file").click()
        assert saved.value.suggested_filename == "guest.json"
        page.get_by_role("button", name="Delete my account").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        console.expect_said("It is deleted on")
        expect(page.locator("#who")).to_contain_text("Sign in")
