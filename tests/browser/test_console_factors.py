"""Second factors, passkeys and links of mails, in the console."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.support.browser import chromium
from tests.support.console import Console, console_in
from tests.support.factors import code_at
from tests.support.qr_codes import read_picture
from tests.support.stack import Stack

pytestmark = pytest.mark.timeout(300)

PASSWORD: Final = "a phrase for the people with a phone"


@pytest.fixture(scope="module")
def mails(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mails")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, mails: Path) -> Iterator[Stack]:
    """Passkeys belong to a host that has a name."""
    chromium()
    overrides = {
        "IDENTITY_THROTTLE": "off",
        "GATEWAY_RATE_LIMITS": "off",
        "IDENTITY_MAIL_URL": f"file://{mails}",
    }
    folder = tmp_path_factory.mktemp("factors")
    with Stack(folder, overrides, host="localhost") as running:
        yield running


def begin_sign_in(console: Console, name: str) -> None:
    console.open("/sign-in")
    console.page.get_by_label("User name").fill(name)
    console.page.get_by_label("Password").fill(PASSWORD)
    console.press("Sign in", exact=True)


_NO_AUTOFILL: Final = (
    "PublicKeyCredential.isConditionalMediationAvailable = async () => false"
)
"""A virtual device accepts at once what autofill offers, before anybody can click."""


_CANCEL: Final = """navigator.credentials.get = async () => {
  throw new DOMException("The operation was not allowed.", "NotAllowedError");
}"""
"""What a browser does when somebody closes its question."""


class Authenticator:
    """A device that holds passkeys, and agrees to everything."""

    def __init__(self, page: Page) -> None:
        self._devtools = page.context.new_cdp_session(page)
        self._devtools.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        made = self._devtools.send(
            "WebAuthn.addVirtualAuthenticator", {"options": options}
        )
        self._id = {"authenticatorId": made["authenticatorId"]}

    def lose(self) -> None:
        """Forget all passkeys."""
        self._devtools.send("WebAuthn.clearCredentials", self._id)


def register_passkey(console: Console, name: str) -> list[str]:
    """Register the first passkey, and return the recovery codes."""
    console.follow("Passkeys")
    console.page.get_by_label("Name", exact=True).fill(name)
    console.press("Add a passkey", f"The passkey {name} is registered.")
    return console.page.locator("main pre").inner_text().split()


def test_an_authenticator_app_is_the_second_step(
    stack: Stack, browser: Browser
) -> None:
    stack.sign_up("careful", PASSWORD)
    with console_in(browser, stack.base_url) as console:
        page = console.page
        console.sign_in("careful", PASSWORD)
        console.follow("Second factor")
        console.press("Set up an authenticator app")
        secret = page.locator("main pre").inner_text()
        console.judge("factor-setup")
        uri = read_picture(page.get_by_role("img", name="QR code").screenshot())
        assert uri.startswith("otpauth://totp/")
        assert f"secret={secret}" in uri
        code = page.get_by_label("Code that the app shows")
        code.fill("000000")
        console.press("Confirm")
        console.expect_refused("That is not right.")
        code.fill(code_at(secret, datetime.now(UTC)))
        console.press("Confirm", "The authenticator app is set up.")
        codes = page.locator("main pre").inner_text().split()
        assert len(codes) > 5
        console.judge("factor-recovery-codes")

        console.sign_out()
        begin_sign_in(console, "careful")
        console.expect_said("This account signs in with a second factor.")
        expect(page.get_by_label("Code")).to_be_focused()
        console.judge("factor-second-step")
        page.get_by_label("Code").fill(codes[0])
        console.press("Confirm", "You are signed in as careful.")


def test_a_passkey_signs_in_by_itself(stack: Stack, browser: Browser) -> None:
    stack.sign_up("modern", PASSWORD)
    with console_in(browser, stack.base_url) as console:
        page = console.page
        console.sign_in("modern", PASSWORD)
        Authenticator(page)
        register_passkey(console, "Laptop")
        expect(page.get_by_role("heading", name="Recovery codes")).to_be_focused()
        expect(page.get_by_text("You have no passkeys yet.")).to_have_count(0)
        page.get_by_role("link", name="I have saved them").click()
        expect(page.locator("tbody th")).to_have_text("Laptop")
        console.judge("passkeys")
        name = page.get_by_label("New name of Laptop")
        name.fill("  ")
        console.press("Rename")
        console.expect_refused("Request id:")
        expect(name).to_be_focused()
        expect(name).to_have_attribute("aria-invalid", "true")
        name.fill("Work")
        console.press("Rename", "The passkey is now called Work.")

        console.sign_out()
        page.goto(f"{stack.base_url}/console#/sign-in")
        console.expect_said("You are signed in as modern.")

        console.follow("Passkeys")
        console.press("Remove the passkey Work", "Passkey removed.", confirm="Remove")

        console.sign_out()
        page.goto(f"{stack.base_url}/console#/sign-in")  # the device has it still
        console.expect_refused("Invalid username or password!")


def test_the_browsers_refusals_are_said_in_words(
    stack: Stack, browser: Browser
) -> None:
    stack.sign_up("hasty", PASSWORD)
    with console_in(browser, stack.base_url) as console:
        page = console.page
        console.sign_in("hasty", PASSWORD)
        Authenticator(page)
        register_passkey(console, "Laptop")
        console.follow("Start")
        console.follow("Passkeys")
        console.press("Add a passkey")
        console.expect_refused("This device has a passkey of your account already.")

    elsewhere = stack.base_url.replace("localhost", "127.0.0.1")
    with console_in(browser, elsewhere) as console:
        console.open("/sign-in")
        console.press("Sign in with a passkey")
        console.expect_refused("Passkeys do not work at this address.")

    with console_in(browser, stack.base_url) as console:
        console.page.add_init_script(_NO_AUTOFILL)
        console.page.add_init_script(_CANCEL)
        console.open("/sign-in")
        console.press("Sign in with a passkey")
        console.expect_refused("No passkey was used:")


def test_a_passkey_is_the_second_step_or_the_only_one(
    stack: Stack, browser: Browser
) -> None:
    stack.sign_up("doubly", PASSWORD)
    with console_in(browser, stack.base_url) as console:
        page = console.page
        page.add_init_script(_NO_AUTOFILL)
        console.sign_in("doubly", PASSWORD)
        Authenticator(page)
        register_passkey(console, "Laptop")
        console.sign_out()
        begin_sign_in(console, "doubly")
        console.expect_said("This account signs in with a second factor.")
        console.press("Use a passkey", "You are signed in as doubly.")

        console.sign_out()
        console.open("/sign-in")
        console.press("Sign in with a passkey", "You are signed in as doubly.")


def test_a_lost_device_is_replaced_by_a_recovery_code(
    stack: Stack, browser: Browser
) -> None:
    stack.sign_up("unlucky", PASSWORD)
    with console_in(browser, stack.base_url) as console:
        page = console.page
        console.sign_in("unlucky", PASSWORD)
        device = Authenticator(page)
        codes = register_passkey(console, "Phone")
        device.lose()
        console.sign_out()
        begin_sign_in(console, "unlucky")
        console.expect_said("This account signs in with a second factor.")
        page.get_by_label("Code").fill(codes[1])
        console.press("Confirm", "You are signed in as unlucky.")

        console.follow("Passkeys")
        console.press("Remove the passkey Phone", "Passkey removed.", confirm="Remove")
        console.sign_out()
        console.sign_in("unlucky", PASSWORD)


def test_a_forgotten_password_is_replaced_by_a_mail(
    stack: Stack, browser: Browser, mails: Path
) -> None:
    stack.sign_up("forgetful", PASSWORD)
    with console_in(browser, stack.base_url) as console:
        page = console.page
        console.open("/sign-in")
        page.get_by_role("link", name="Forgot your password?").click()
        console.settle()
        page.get_by_label("E-mail address").fill("forgetful@example.org")
        console.press("Send the mail")
        console.expect_said("If this address has an account, a mail is on its way.")
        console.judge("password-reset")

        console.follow_mail(mails, "forgetful@example.org", "password-reset")
        page.get_by_label("New password").fill(f"{PASSWORD}, at last")
        assert "token" not in page.url
        console.press("Change the password", "Please sign in with it.")
        console.sign_in("forgetful", f"{PASSWORD}, at last")


def test_a_thiefs_passkey_goes_by_the_link_of_a_mail(
    stack: Stack, browser: Browser, mails: Path
) -> None:
    stack.sign_up("robbed", PASSWORD)
    with console_in(browser, stack.base_url) as console:
        page = console.page
        page.add_init_script(_NO_AUTOFILL)
        Authenticator(page)
        console.sign_in("robbed", PASSWORD)
        register_passkey(console, "A thief's")
        console.follow_mail(mails, "robbed@example.org", "factor-change-undo")
        assert "token" not in page.url
        console.judge("factor-change-undo")
        console.press("Undo the change", "All sessions have ended.")
        expect(page.locator("#who")).to_contain_text("Sign in")

        console.press("Sign in with a passkey")
        console.expect_refused("Invalid username or password!")


@pytest.fixture(scope="module")
def stale(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Where a proof counts for a moment only."""
    chromium()
    overrides = {"IDENTITY_FRESH_CHECK_LIFETIME": "4", "IDENTITY_THROTTLE": "off"}
    folder = tmp_path_factory.mktemp("stale")
    with Stack(folder, overrides, host="localhost") as running:
        yield running


def ask_for_codes(console: Console) -> None:
    """Do what needs a fresh proof, once the last one is too old."""
    console.follow("Start")
    console.follow("Second factor")
    console.page.wait_for_timeout(5000)
    console.press("New recovery codes")


def test_what_matters_takes_whatever_proof_the_account_has(
    stale: Stack, browser: Browser
) -> None:
    stale.sign_up("prover", PASSWORD)
    with console_in(browser, stale.base_url) as console:
        page = console.page
        page.add_init_script(_NO_AUTOFILL)
        console.sign_in("prover", PASSWORD)
        Authenticator(page)
        codes = register_passkey(console, "Phone")
        ask_for_codes(console)
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_label("Your password")).to_be_focused()
        console.judge("fresh-check-all")
        code = dialog.get_by_label("Or a code")
        code.fill("abcd-efgh-ijkl-mnop")
        dialog.get_by_role("button", name="Confirm with the code").click()
        console.expect_refused("That is not right.")
        code.fill(codes[0])
        dialog.get_by_role("button", name="Confirm with the code").click()
        console.expect_said("The old recovery codes no longer work.")

        ask_for_codes(console)
        dialog.get_by_role("button", name="Use a passkey").click()
        console.expect_said("The old recovery codes no longer work.")
        ask_for_codes(console)
        dialog.get_by_role("button", name="Cancel").click()
        console.expect_refused("Please confirm your identity again.")


def test_what_matters_asks_for_the_password_again(
    stale: Stack, browser: Browser
) -> None:
    stale.sign_up("changer", PASSWORD)
    with console_in(browser, stale.base_url) as console:
        page = console.page
        console.sign_in("changer", PASSWORD)
        page.wait_for_timeout(5000)
        console.follow("Profile")
        page.get_by_label("E-mail address").fill("another@example.org")
        console.press("Save")
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_label("Your password")).to_be_focused()
        expect(dialog.get_by_label("Or a code")).to_have_count(0)
        console.judge("fresh-check")
        dialog.get_by_label("Your password").fill("a wrong one")
        dialog.get_by_role("button", name="Confirm").click()
        console.expect_refused("That is not right.")
        dialog.get_by_label("Your password").fill(PASSWORD)
        dialog.get_by_role("button", name="Confirm").click()
        expect(page.get_by_label("E-mail address")).to_have_value("another@example.org")
        console.expect_said("Your profile has been saved.")
