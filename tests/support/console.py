"""The console in a real browser, watched for whatever must not happen there."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)
from tests.support.browser import FLAGS, chromium

ARTEFACTS: Final = Path(__file__).parents[2] / ".local" / "artefacts" / "console"
"""Where screenshots are kept; `.ci/run` and CONTRIBUTING.md name it, too."""

DESKTOP: Final = (1280, 800)
PHONE: Final = (390, 844)

_AXE: Final = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
_RUN_AXE: Final = """async () => (await axe.run(document, {preload: false})).violations
  .filter(({impact}) => ["serious", "critical"].includes(impact))
  .map(({id, impact, nodes}) =>
    `${impact}: ${id}: ${nodes.map(({html, any, all}) =>
      html + " " + [...any, ...all].map((each) => each.message)).join("; ")}`)"""

_BEYOND: Final = """() => Math.max(document.documentElement.scrollWidth - innerWidth,
  ...[...document.querySelectorAll(".notice")].map((notice) => {
    const {left, right} = notice.getBoundingClientRect();
    return Math.max(-left, right - innerWidth);
  }))"""
"""Pixels that cannot be seen; what is fixed to the window does not widen the page."""

_REPORT_VIOLATIONS: Final = """addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`))"""

_REFUSAL: Final = "Failed to load resource: the server responded with a status of 4"
"""What Chromium notes of a response of the API that the page shows in words."""


@dataclass
class Console:
    """A page of the console, and what was wrong with it so far."""

    page: Page
    base_url: str
    faults: list[str] = field(default_factory=list)

    def open(self, path: str = "/") -> None:
        """Open a page of the console by its address, and wait until it is there."""
        self.page.goto(f"{self.base_url}/console#{path}")
        self.settle()

    def settle(self) -> None:
        """Wait until the page is drawn."""
        expect(self.page.locator("main:not([aria-busy]) h1")).to_be_visible()

    def follow(self, name: str) -> None:
        """Follow a link of the menu, and wait until its page is drawn."""
        self.choose(name)
        expect(self.page.locator("main h1")).to_have_text(name)
        self.settle()

    def choose(self, name: str) -> None:
        """Follow a link of the menu, which a phone hides, wherever it leads."""
        menu = self.page.get_by_role("button", name="Menu")
        if menu.is_visible():
            menu.click()
        links = self.page.get_by_role("navigation", name="Pages", exact=True)
        links.get_by_role("link", name=name, exact=True).click()

    def menu(self) -> list[str]:
        """Return the pages that the menu names."""
        return self.page.locator("#side a").all_text_contents()

    def sign_in(self, username: str, password: str) -> None:
        """Sign in by the form."""
        self.open("/sign-in")
        self.page.get_by_label("User name").fill(username)
        self.page.get_by_label("Password").fill(password)
        self.press("Sign in", f"You are signed in as {username}.", exact=True)

    def sign_out(self) -> None:
        """Sign out by the button."""
        self.press("Sign out", "You've been signed out!")

    def press(
        self, name: str, says: str = "", *, confirm: str = "", exact: bool = False
    ) -> None:
        """Press a button, and ``confirm`` in the dialog that it opens, if it does.

        Wait until the region that is read out politely says a text, if one is given.
        """
        self.page.get_by_role("button", name=name, exact=exact).click()
        if confirm:
            dialog = self.page.get_by_role("dialog")
            dialog.get_by_role("button", name=confirm).click()
        if says:
            self.expect_said(says)

    def follow_mail(self, folder: Path, address: str, page: str) -> None:
        """Open the link of a mail that leads to a page of the console."""
        link = mailed(folder, address, rf"http\S+#/{page}\S+", self.page)
        self.page.goto(link)
        self.settle()

    def expect_said(self, text: str) -> None:
        """Wait until the region that is read out politely says a text."""
        expect(self.page.get_by_role("status")).to_contain_text(text)

    def expect_refused(self, text: str) -> None:
        """Wait until the region that is read out at once says a text."""
        expect(self.page.get_by_role("alert")).to_contain_text(text)

    def judge(self, name: str) -> None:
        """Keep a picture of the page, and note what axe-core finds wrong."""
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=ARTEFACTS / f"{name}.png", full_page=True)
        if not self.page.evaluate("() => 'axe' in window"):
            self.page.evaluate(_AXE)
        found = self.page.evaluate(_RUN_AXE)
        self.faults += [f"{name}: {each}" for each in found]
        if (beyond := self.page.evaluate(_BEYOND)) > 0:
            self.faults.append(f"{name}: {beyond} px wider than the window")

    def note_message(self, message: ConsoleMessage) -> None:
        """Note an error or a warning of the browser's console."""
        is_refusal = message.text.startswith(_REFUSAL) and "/api/" in str(
            message.location.get("url")
        )
        if message.type in {"error", "warning"} and not is_refusal:
            self.faults.append(f"{message.type}: {message.text}")

    def note_request(self, request: Request) -> None:
        """Note a request to another host."""
        if urlsplit(request.url).netloc != urlsplit(self.base_url).netloc:
            self.faults.append(f"asked another host: {request.url}")


@contextmanager
def running_browser(*flags: str) -> Iterator[Browser]:
    """Run the machine's own Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=[*FLAGS, *flags]
        )
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def console_in(
    browser: Browser,
    base_url: str,
    size: tuple[int, int] = DESKTOP,
    **options: Any,  # noqa: ANN401 - Playwright's own options
) -> Iterator[Console]:
    """Open a browser profile of its own; fail if anything was wrong at the end."""
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height},
        has_touch=size == PHONE,
        locale="en-GB",
        **options,
    )
    context.add_init_script(_REPORT_VIOLATIONS)
    try:
        console = watched(context, base_url)
        yield console
        assert console.faults == []
    finally:
        context.close()


def watched(context: BrowserContext, base_url: str) -> Console:
    """Return a new page of a profile, with its messages and requests watched."""
    console = Console(context.new_page(), base_url)
    console.page.set_default_timeout(20_000)
    console.page.on("console", console.note_message)
    console.page.on(
        "pageerror", lambda error: console.faults.append(f"exception: {error}")
    )
    console.page.on("request", console.note_request)
    return console


def mailed(folder: Path, address: str, pattern: str, page: Page) -> str:
    """Return what matches a pattern in a mail to an address, as soon as it came."""
    for _ in range(200):
        for file in folder.glob("*.eml"):
            mail = message_from_bytes(file.read_bytes(), policy=policy.default)
            body = mail.get_body(("plain",))
            if mail["To"] == address and body is not None:
                found = re.search(pattern, body.get_content(), re.MULTILINE)
                if found:
                    return found[0]
        page.wait_for_timeout(100)
    raise AssertionError("no mail came")
