"""Every page of the console, as everybody who comes to it, on a desk and on a phone.

No serious finding of axe-core, no error in the browser's console, no violation of the
policy, nothing from another host, nothing wider than the window.
"""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, Route, expect
from tests.support.browser import FLAGS, chromium
from tests.support.console import (
    DESKTOP,
    PHONE,
    Console,
    console_in,
    watched,
)
from tests.support.stack import Stack

pytestmark = pytest.mark.timeout(300)

PASSWORD: Final = "a phrase for the people of the console"
SIZES: Final = {"desktop": DESKTOP, "phone": PHONE}
PEOPLE: Final = ("visitor", "user", "moderator", "admin")
MANY: Final = 25
"""Users, more than a page of a list holds."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    chromium()
    overrides = {"IDENTITY_THROTTLE": "off", "GATEWAY_RATE_LIMITS": "off"}
    with Stack(tmp_path_factory.mktemp("console"), overrides) as running:
        for name in ("user", "moderator", *(f"member{n:02}" for n in range(MANY))):
            running.sign_up(name, PASSWORD)
        yield running


@pytest.fixture(scope="module")
def moderator(stack: Stack, browser: Browser) -> str:
    """Their role is given in the console, as an administrator gives it."""
    with console_in(browser, stack.base_url) as console:
        console.sign_in(stack.admin_name, stack.admin_password)
        console.follow("Users")
        console.page.get_by_label("Search").fill("moder")
        console.press("Search", "Searched for moder.")
        console.page.get_by_role("link", name="moderator", exact=True).click()
        console.page.get_by_label("moderator:").check()
        console.press("Save the roles", "moderator now has the roles user, moderator.")
    return "moderator"


def enter(console: Console, stack: Stack, who: str) -> None:
    if who == "admin":
        console.sign_in(stack.admin_name, stack.admin_password)
    elif who != "visitor":
        console.sign_in(who, PASSWORD)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.usefixtures("moderator")
def test_everybody_can_use_every_page(
    stack: Stack, browser: Browser, who: str, size: str
) -> None:
    with console_in(browser, stack.base_url, SIZES[size]) as console:
        console.page.goto(stack.base_url)
        console.judge(f"{who}-{size}-front")
        console.open()
        enter(console, stack, who)
        for name in console.menu():
            console.follow(name)
            slug = name.lower().replace(" ", "-")
            console.judge(f"{who}-{size}-{slug}")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.usefixtures("moderator")
def test_the_dark_console_is_as_readable(
    stack: Stack, browser: Browser, size: str
) -> None:
    with console_in(
        browser, stack.base_url, SIZES[size], color_scheme="dark"
    ) as console:
        enter(console, stack, "admin")
        for name in console.menu():
            console.follow(name)
            console.judge(f"dark-{size}-{name.lower().replace(' ', '-')}")


def test_faults_are_beside_their_fields_and_read_out(
    stack: Stack, browser: Browser
) -> None:
    with console_in(browser, stack.base_url) as console:
        console.open("/sign-up")
        page = console.page
        console.press("Sign up")
        name = page.get_by_label("User name")
        expect(name).to_be_focused()
        expect(name).to_have_attribute("aria-invalid", "true")
        name.fill("user")
        page.get_by_label("E-mail address").fill("someone@example.org")
        page.get_by_label("Password").fill("short")
        console.press("Sign up")
        console.expect_refused("Request id:")
        expect(page.get_by_label("Password")).to_be_focused()
        expect(page.locator("#field-password-fault")).not_to_be_empty()
        console.judge("sign-up-refused")


@pytest.mark.parametrize("transport", ["body", "cookie"])
def test_tokens_are_in_memory_and_in_a_cookie_alone(
    stack: Stack,
    browser: Browser,
    tmp_path_factory: pytest.TempPathFactory,
    transport: str,
) -> None:
    """A reload finds the session again, by a cookie that no script can read."""
    if transport == "body":
        _walk_a_session(stack, browser)
        return
    overrides = {"IDENTITY_TOKEN_TRANSPORT": transport}
    with Stack(tmp_path_factory.mktemp("cookies"), overrides) as other:
        other.sign_up("user", PASSWORD)
        _walk_a_session(other, browser)


def _walk_a_session(stack: Stack, browser: Browser) -> None:
    with console_in(browser, stack.base_url) as console:
        page = console.page
        console.sign_in("user", PASSWORD)
        stored = page.evaluate(
            "() => JSON.stringify([{...localStorage}, {...sessionStorage},"
            " document.cookie, [...document.querySelectorAll('*')]"
            ".map((each) => each.outerHTML)])"
        )
        assert "eyJ" not in stored
        cookies = {each.get("name"): each for each in page.context.cookies()}
        assert set(cookies) == {"refresh_token"}
        assert cookies["refresh_token"].get("httpOnly") is True
        assert cookies["refresh_token"].get("sameSite") == "Strict"
        assert cookies["refresh_token"].get("path") == "/api/auth"

        page.reload()
        console.settle()
        expect(page.locator("#who")).to_contain_text("user")
        console.sign_out()
        assert page.context.cookies() == []
        page.reload()
        console.settle()
        expect(page.locator("#who")).to_contain_text("Sign in")


def test_the_resources_show_what_the_gateway_responded(
    stack: Stack, browser: Browser
) -> None:
    with console_in(browser, stack.base_url) as console:
        console.sign_in("user", PASSWORD)
        console.follow("Resources")
        for name, said in {
            "public": "Public: 200, Public Content.",
            "user": "User: 200, User Content.",
        }.items():
            console.press(f"Read {name}")
            console.expect_said(said)
        console.press("Read admin", "Admin: 403, Require Admin Role!")
        console.judge("resources-read")


def test_somebody_looks_after_their_account(stack: Stack, browser: Browser) -> None:
    stack.sign_up("keeper", PASSWORD)
    with (
        console_in(browser, stack.base_url) as elsewhere,
        console_in(browser, stack.base_url, PHONE) as console,
    ):
        elsewhere.sign_in("keeper", PASSWORD)
        console.sign_in("keeper", PASSWORD)
        page = console.page
        console.follow("Profile")
        page.get_by_label("User name").fill("gatekeeper")
        console.press("Save", "Your profile has been saved.")
        expect(page.locator("#who")).to_contain_text("gatekeeper")

        console.follow("Sessions")
        expect(page.get_by_text("This session")).to_be_visible()
        console.press("End all others", "Ended: 1.")
        elsewhere.choose("Sessions")
        elsewhere.expect_said("Your session has ended. Please sign in again.")
        elsewhere.sign_in("gatekeeper", PASSWORD)
        expect(elsewhere.page.locator("main h1")).to_have_text("Sessions")

        console.follow("Password")
        page.get_by_label("Current password").fill(PASSWORD)
        page.get_by_label("New password").fill(f"{PASSWORD}, changed")
        console.press("Change the password", "Password changed.")


DEVICES: Final = {
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0": (
        "Firefox on Linux"
    ),
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15"
    " (KHTML, like Gecko) CriOS/141.0.0.0 Mobile/15E148 Safari/604.1": "Chrome on iOS",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15"
    " (KHTML, like Gecko) FxiOS/143.0 Mobile/15E148 Safari/604.1": "Firefox on iOS",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15"
    " (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1": "Safari on iOS",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/141.0.0.0 Mobile Safari/537.36 EdgA/141.0.0.0": "Edge on Android",
    "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/141.0.0.0 Safari/537.36": "Chrome on ChromeOS",
    "curl/8.14.1": "curl/8.14.1",
}


def test_sessions_name_the_device_that_signed_in(
    stack: Stack, browser: Browser
) -> None:
    stack.sign_up("everywhere", PASSWORD)
    who = json.dumps({"username": "everywhere", "password": PASSWORD}).encode()
    for device in DEVICES:
        headers = {"Content-Type": "application/json", "User-Agent": device}
        url = f"{stack.base_url}/api/auth/signin"
        urlopen(Request(url, who, headers), timeout=15).close()
    with console_in(browser, stack.base_url) as console:
        console.sign_in("everywhere", PASSWORD)
        console.follow("Sessions")
        named = console.page.locator("tbody th").all_text_contents()
        assert set(DEVICES.values()) <= set(named)


def test_what_was_done_is_said_though_nothing_can_be_asked_after_it(
    stack: Stack, browser: Browser
) -> None:
    stack.sign_up("hasty", PASSWORD)
    with console_in(browser, stack.base_url) as console:
        page = console.page
        console.sign_in("hasty", PASSWORD)
        console.follow("Password")
        page.get_by_label("Current password").fill(PASSWORD)
        page.get_by_label("New password").fill(f"{PASSWORD}, changed")
        page.route(
            "**/api/auth/refreshtoken",
            lambda route: route.fulfill(status=429, json={"message": "Not now."}),
        )

        console.press("Change the password")

        console.expect_said("Password changed. Your other sessions have ended.")


def test_an_administrator_looks_after_users_and_roles(
    stack: Stack, browser: Browser
) -> None:
    stack.sign_up("leaver", PASSWORD)
    with console_in(browser, stack.base_url) as console:
        page = console.page
        console.sign_in(stack.admin_name, stack.admin_password)
        console.follow("Roles")
        page.get_by_label("Name").fill("editor")
        page.get_by_label("Description").fill("Edits what others write")
        console.press("Add", "The role editor has been added.")
        console.press("Remove the role editor", "Role removed.", confirm="Remove")

        console.follow("Users")
        page.get_by_label("Search").fill("leaver")
        console.press("Search")
        page.get_by_role("link", name="leaver", exact=True).click()
        console.press("Disable", "leaver is disabled and signed out.")
        console.press("Enable", "leaver can sign in again.")
        console.press("End all sessions", "Sessions ended. Ended: 0.")
        console.judge("admin-desktop-user")

        delete = page.get_by_role("button", name="Delete")
        delete.click()
        console.judge("admin-desktop-delete")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(delete).to_be_focused()
        delete.click()
        page.go_back()  # what a dialog asks is about the page that it is over
        expect(page.get_by_role("dialog")).to_have_count(0)
        page.go_forward()
        delete.click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        console.expect_said("Account deleted.")


def test_lists_come_in_pages(stack: Stack, browser: Browser) -> None:
    with console_in(browser, stack.base_url) as console:
        page = console.page
        console.sign_in(stack.admin_name, stack.admin_password)
        console.follow("Users")
        expect(page.locator("tbody tr")).to_have_count(20)
        page.get_by_role("link", name="Next page").click()
        expect(page.get_by_role("link", name="First page")).to_be_visible()
        console.settle()
        expect(page.get_by_role("link", name=f"member{MANY - 1}")).to_be_visible()
        page.go_back()
        expect(page.get_by_role("link", name=stack.admin_name).first).to_be_visible()


def test_the_audit_trail_is_filtered_and_judged(stack: Stack, browser: Browser) -> None:
    with console_in(browser, stack.base_url) as console:
        page = console.page
        console.sign_in(stack.admin_name, stack.admin_password)
        console.follow("Audit trail")
        page.get_by_label("Action").fill("account.signed_up")
        console.press("Show", "The events that match are shown.")
        actions = page.locator("tbody th").all_text_contents()
        assert set(actions) == {"account.signed_up"}
        console.press("Verify the chain", "The record is intact:")
        console.judge("admin-desktop-audit-verified")


def until_the_next_key_is_published(stack: Stack) -> None:
    """Wait for what is done a moment after the first start."""
    for _ in range(100):
        keys = stack.send("GET", "/.well-known/jwks.json").json()["keys"]
        if isinstance(keys, list) and len(keys) > 1:
            return
        time.sleep(0.1)
    pytest.fail("one key is published alone")


def test_the_gateway_is_drawn_as_it_runs(stack: Stack, browser: Browser) -> None:
    with console_in(browser, stack.base_url) as console:
        page = console.page
        console.sign_in(stack.admin_name, stack.admin_password)
        until_the_next_key_is_published(stack)
        console.follow("Signing keys")
        expect(page.get_by_role("img", name="The life of each key")).to_be_visible()
        expect(page.locator("tbody tr")).to_have_count(2)
        console.follow("Gateway")
        expect(page.locator("polyline").first).to_be_visible(timeout=15_000)
        expect(page.get_by_role("table")).to_have_count(2)

        def restart(route: Route) -> None:
            answer = route.fetch()
            said = answer.json()
            said["gateways"][0]["url"] = "http://[::1]:9/status"
            route.fulfill(response=answer, json=said)

        page.route("**/api/gateway", restart)
        expect(
            page.get_by_role("heading", name="http://[::1]:9/status")
        ).to_be_visible()
        expect(page.locator("main section")).to_have_count(1)
        console.press("Pause", "Updates are paused.")
        console.judge("admin-desktop-gateway-live")


def test_the_keyboard_leads_everywhere(stack: Stack, browser: Browser) -> None:
    with console_in(browser, stack.base_url) as console:
        page = console.page
        console.open("/")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("main")).to_be_focused()
        page.keyboard.press("Tab")
        expect(page.locator("main").get_by_role("link").first).to_be_focused()
        page.keyboard.press("Enter")
        console.settle()
        expect(page.locator("main h1")).to_be_focused()


def test_nothing_moves_for_those_who_do_not_want_it(
    stack: Stack, browser: Browser
) -> None:
    with console_in(browser, stack.base_url, reduced_motion="reduce") as console:
        console.open("/")
        moving = console.page.evaluate("""() => {
          const busy = document.createElement("p");
          busy.className = "busy";
          document.body.append(busy);
          return getComputedStyle(busy, "::before").animationDuration;
        }""")
        assert float(moving.removesuffix("s")) < 0.01


def test_a_gateway_that_is_away_is_told_of_in_words(
    stack: Stack, browser: Browser
) -> None:
    with console_in(browser, stack.base_url) as console:
        console.open("/resources")
        console.page.route("**/api/**", lambda route: route.abort())
        console.press("Read public")
        console.expect_refused("The gateway cannot be reached.")
        console.faults.clear()  # Chromium notes the request that failed


def test_a_console_that_is_still_to_come_says_so(
    stack: Stack, browser: Browser
) -> None:
    with console_in(browser, stack.base_url) as console:
        held: list[Route] = []

        def hold(route: Route) -> None:
            held.append(route)

        console.page.route("**/console/session.js", hold)
        console.page.goto(f"{stack.base_url}/console", wait_until="commit")
        expect(console.page.get_by_text("One moment.")).to_be_visible()
        for route in held:
            route.continue_()
        console.settle()


def test_scripts_that_cannot_be_fetched_are_told_of_in_words(
    stack: Stack, browser: Browser
) -> None:
    with console_in(browser, stack.base_url) as console:
        console.page.route("**/console/session.js", lambda route: route.abort())
        console.page.goto(f"{stack.base_url}/console")
        expect(console.page.locator("main")).to_contain_text("could not be loaded")
        console.faults.clear()  # Chromium notes the request that failed


def test_a_browser_that_blocks_cookies_is_told_so(
    stack: Stack, browser: Browser, tmp_path: Path
) -> None:
    blocked = {"profile": {"default_content_setting_values": {"cookies": 2}}}
    (tmp_path / "Default").mkdir()
    (tmp_path / "Default" / "Preferences").write_text(json.dumps(blocked), "utf-8")
    context = browser.browser_type.launch_persistent_context(
        tmp_path, executable_path=chromium(), args=[*FLAGS]
    )
    with closing(context):
        page = watched(context, stack.base_url).page
        page.goto(f"{stack.base_url}/console")
        expect(page.locator("main")).to_contain_text("needs cookies")


def test_a_page_that_cannot_be_fetched_is_told_of_in_words(
    stack: Stack, browser: Browser
) -> None:
    with console_in(browser, stack.base_url) as console:
        console.open("/")
        console.page.route("**/pages/resources.js", lambda route: route.abort())
        console.page.evaluate("location.hash = '/resources'")
        console.expect_refused("The gateway cannot be reached.")
        console.faults.clear()  # Chromium notes the request that failed
        console.page.unroute("**/pages/resources.js")
        console.page.get_by_role("link", name="Go to the start").click()
        console.page.evaluate("location.hash = '/resources'")
        expect(console.page.get_by_role("button", name="Read public")).to_be_visible()


def test_a_fault_of_a_pages_own_script_is_said_and_logged(
    stack: Stack, browser: Browser
) -> None:
    def send_faulty(route: Route) -> None:
        route.fulfill(content_type="text/javascript", body="null.fault;")

    with console_in(browser, stack.base_url) as console:
        console.open("/")
        console.page.route("**/pages/resources.js*", send_faulty)
        with console.page.expect_console_message() as logged:
            console.page.evaluate("location.hash = '/resources'")
        assert "TypeError: Cannot read properties of null" in logged.value.text
        console.expect_refused("Cannot read properties of null")
        console.faults.clear()


def test_half_a_response_is_told_of_in_words(stack: Stack, browser: Browser) -> None:
    def send_half(route: Route) -> None:
        route.fulfill(content_type="application/json", body='{"accessToken": "ey')

    with console_in(browser, stack.base_url) as console:
        console.open("/sign-in")
        console.page.route("**/api/auth/signin", send_half)
        console.page.get_by_label("User name").fill("somebody")
        console.page.get_by_label("Password").fill(PASSWORD)
        console.press("Sign in", exact=True)
        console.expect_refused("The response is incomplete.")


def test_without_a_mailbox_there_is_no_page_for_it(
    stack: Stack, browser: Browser
) -> None:
    with console_in(browser, stack.base_url) as console:
        console.open("/mailbox")
        console.expect_refused("There is no such page on this system.")
        assert "Mailbox" not in console.menu()
