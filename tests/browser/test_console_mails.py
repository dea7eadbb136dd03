"""What the console makes of mails, of links in them, and of mailed codes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import expect
from tests.support.browser import chromium
from tests.support.console import PHONE, Console, console_in, mailed, running_browser
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
        "IDENTITY_MAILBOX": "on",
        "IDENTITY_SIGN_IN_CODES": "on",
        "IDENTITY_THROTTLE": "off",
    }
    with Stack(tmp_path, overrides) as running:
        yield running


def load_without_token(console: Console) -> None:
    """Load the page of a link again, whose token is in no address any more."""
    console.page.reload()
    console.settle()
    again = console.page.get_by_text("please open the link again")
    expect(again).to_be_visible()
    expect(console.page.get_by_role("main").get_by_role("button")).to_have_count(0)


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
        console.press("Sign up", "User registered successfully!")
        console.expect_said("If a mail asks you to confirm your address")
        console.sign_in("reader", PASSWORD)
        console.follow("Profile")
        expect(page.get_by_text("Address not confirmed")).to_be_visible()

        console.follow_mail(mails, "reader@example.org", "email-verification")
        assert "token" not in page.url
        console.judge("email-verification")
        console.press("Confirm", "E-mail address confirmed.")
        expect(page.get_by_text("Address not confirmed")).to_have_count(0)

        page.get_by_label("E-mail address").fill("moved@example.org")
        console.press("Save", "A mail is on its way.")
        console.follow_mail(mails, "moved@example.org", "email-change")
        console.press("Confirm", "E-mail address changed.")
        console.sign_out()

        console.open("/sign-in")
        page.get_by_role("link", name="Sign in with a mailed code").click()
        console.settle()
        page.get_by_label("E-mail address").fill("moved@example.org")
        console.press("Send the code")
        code = mailed(mails, "moved@example.org", r"^[0-9]{8}\b", page)
        console.judge("sign-in-code")
        page.get_by_label("Code").fill(code)
        console.press("Sign in", "You are signed in as reader.", exact=True)

        console.follow_mail(mails, "reader@example.org", "email-change-undo")
        load_without_token(console)
        console.follow_mail(mails, "reader@example.org", "email-change-undo")
        console.press("Restore it", "The old e-mail address is restored.")
        expect(page.locator("#who")).to_contain_text("Sign in")


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
        page.get_by_label("Invite by mail").check()
        console.press("Create the user", "guest has been invited by mail.")
        console.sign_out()

        console.follow_mail(mails, "guest@example.org", "password-reset")
        page.get_by_label("New password").fill(PASSWORD)
        console.press("Change the password", "Please sign in with it.")
        console.sign_in("guest", PASSWORD)
        console.follow("Your data")
        console.judge("leaving")
        with page.expect_download() as saved:
            console.press("Save the file")
        assert saved.value.suggested_filename == "guest.json"
        console.press("Delete my account", "It is deleted on", confirm="Delete")
        expect(page.locator("#who")).to_contain_text("Sign in")


HOSTILE: Final = "<b>https://evil.example/"
"""A user name, as far as the rules for names go."""


@pytest.mark.timeout(300)
def test_a_forgotten_password_is_replaced_by_way_of_the_mailbox(stack: Stack) -> None:
    with (
        running_browser() as browser,
        console_in(browser, stack.base_url, PHONE) as console,
    ):
        page = console.page
        console.open("/sign-up")
        page.get_by_label("User name").fill(HOSTILE)
        page.get_by_label("E-mail address").fill("forgetful@example.org")
        page.get_by_label("Password").fill(PASSWORD)
        console.press("Sign up", "User registered successfully!")
        page.get_by_role("link", name="Forgot your password?").click()
        console.settle()
        page.get_by_label("E-mail address").fill("forgetful@example.org")
        console.press("Send the mail", "a mail is on its way")

        console.follow("Mailbox")
        mail = page.get_by_role("link", name="Choose a new password")
        for _ in range(100):
            if mail.count():
                break
            console.press("Refresh", "The list is up to date.")
            page.wait_for_timeout(100)
        console.judge("mailbox")
        mail.click()
        expect(page.get_by_role("heading", name="Mail", exact=True)).to_be_visible()
        expect(page.locator("pre")).to_contain_text("Hello forgetful@example.org,")
        console.judge("mail")
        links = page.locator("pre a")
        expect(links).to_have_count(1)  # only what leads back to this machine
        links.click()
        page.get_by_label("New password").fill("another phrase that is kept")
        console.press("Change the password", "Please sign in with it.")
        console.sign_in(HOSTILE, "another phrase that is kept")
