"""The tutorial's clients in a real browser, beyond the life of an access token.

A browser drops a cookie at its Max-Age; a client that keeps tokens itself sends one
that has expired. Each has to be told 401, so that it refreshes and carries on.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from tests.browser.test_front_end import CALL, PASSWORD
from tests.support.browser import chromium, run_in_browser
from tests.support.ports import free_ports
from tests.support.stack import Stack

LOCALHOST: Final = "http://localhost:*"

SETTINGS: Final = {
    "GATEWAY_ALLOWED_ORIGINS": f"{LOCALHOST},http://127.0.0.1:*",
    "GATEWAY_ALLOW_CREDENTIALS": "true",
    "IDENTITY_ALLOWED_ORIGINS": LOCALHOST,
    "IDENTITY_ACCESS_TOKEN_LIFETIME": "2",
    "CONTENT_CLOCK_SKEW": "0",
}
"""As `make up` has them, but for the shorter life of access tokens."""

CLIENT: Final = """
const account = {username: NAME, password: PASSWORD};
const post = (path, body, options) => call("POST", "/auth/" + path, {body, ...options});
const user = (options) => call("GET", "/test/user", options);
const refused = async (options) => {
  for (;;) {
    const answer = await user(options);
    if (answer.status !== 200) return answer;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
};
await post("signup", {...account, email: NAME + "@example.org"});
"""

HEADER_CLIENT: Final = """
const seen = [];
for (let times = 0; times < 2; times++) {
  const token = (await post("signin", account)).json.accessToken;
  seen.push((await user({token})).text, (await refused({token})).status);
}
return seen;
"""
"""Sends its token in x-access-token, and has people sign in again when it expires."""

REFRESH_CLIENT: Final = """
const seen = [];
let {accessToken: token, refreshToken} = (await post("signin", account)).json;
for (let times = 0; times < 2; times++) {
  seen.push((await user({token})).text, (await refused({token})).status);
  const {status, json} = await post("refreshtoken", {refreshToken}, {token});
  if (status !== 200) return [...seen, status, json.message];
  token = json.accessToken;
  if (!KEEPS_THE_FIRST) refreshToken = json.refreshToken;
}
seen.push((await user({token})).text);
await post("signout", {refreshToken}, {token});
return seen;
"""
"""Refreshes on 401; the tutorial's own keeps its first refresh token for ever."""

COOKIE_CLIENT: Final = """
const credentials = "include";
const seen = [(await post("signin", account, {credentials})).status];
for (let times = 0; times < 2; times++) {
  seen.push((await user({credentials})).text);
  const expired = await refused({credentials});
  seen.push(expired.status, expired.json.message);
  seen.push((await post("refreshtoken", {}, {credentials})).status);
}
seen.push((await user({credentials})).text);
seen.push((await post("signout", {}, {credentials})).status);
seen.push((await user({credentials})).json.message, document.cookie);
return seen;
"""
"""Holds no token itself, and refreshes on 401."""

CARRIED_ON: Final = ["User Content.", 401] * 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    chromium()
    return tmp_path_factory.mktemp("clients")


@pytest.fixture(scope="module")
def plain(folder: Path) -> Iterator[Stack]:
    with stack(folder, {}) as running:
        yield running


@pytest.fixture(scope="module")
def compat(folder: Path) -> Iterator[Stack]:
    with stack(folder, {"TUTORIAL_COMPAT": "true"}) as running:
        yield running


@pytest.fixture(scope="module")
def cookies(folder: Path) -> Iterator[Stack]:
    with stack(folder, {"IDENTITY_TOKEN_TRANSPORT": "cookie"}) as running:
        yield running


def stack(folder: Path, changes: Mapping[str, str]) -> Stack:
    own = folder / "-".join(changes or ["plain"])
    own.mkdir()
    return Stack(own, {**SETTINGS, **changes})


async def run(
    running: Stack,
    client: str,
    profile: Path,
    *,
    page: str = "localhost",
    api: str = "localhost",
    **constants: object,
) -> Any:  # noqa: ANN401 - what the script returns
    """Return what a client saw that a page on any port of ``page`` runs."""
    url = running.base_url.replace("127.0.0.1", api)
    values = {"NAME": "rosa", **constants, "API": f"{url}/api", "PASSWORD": PASSWORD}
    lines = [f"const {name} = {json.dumps(value)};" for name, value in values.items()]
    (port,) = free_ports(1)
    script = "".join(lines) + CALL + CLIENT + client
    return await run_in_browser(script, profile, port, host=page)


async def test_the_header_client_signs_in_again(plain: Stack, tmp_path: Path) -> None:
    assert await run(plain, HEADER_CLIENT, tmp_path, NAME="header") == CARRIED_ON


async def test_the_header_client_signs_in_again_in_the_tutorials_profile(
    compat: Stack, tmp_path: Path
) -> None:
    assert await run(compat, HEADER_CLIENT, tmp_path, NAME="header") == CARRIED_ON


async def test_the_refresh_client_carries_on(plain: Stack, tmp_path: Path) -> None:
    seen = await run(
        plain, REFRESH_CLIENT, tmp_path, NAME="refresh", KEEPS_THE_FIRST=False
    )

    assert seen == [*CARRIED_ON, "User Content."]


async def test_the_refresh_client_carries_on_with_its_first_token(
    compat: Stack, tmp_path: Path
) -> None:
    seen = await run(
        compat, REFRESH_CLIENT, tmp_path, NAME="refresh", KEEPS_THE_FIRST=True
    )

    assert seen == [*CARRIED_ON, "User Content."]


COOKIES_CARRIED_ON: Final = [
    200,
    *["User Content.", 401, "Unauthorized!", 200] * 2,
    "User Content.",
    200,
    "No token provided!",
    "",
]


async def test_the_cookie_client_carries_on_in_the_tutorials_profile(
    compat: Stack, tmp_path: Path
) -> None:
    seen = await run(compat, COOKIE_CLIENT, tmp_path, NAME="cookies")

    assert seen == COOKIES_CARRIED_ON


async def test_the_cookie_client_carries_on_with_cookies_alone(
    cookies: Stack, tmp_path: Path
) -> None:
    seen = await run(cookies, COOKIE_CLIENT, tmp_path, NAME="cookies")

    assert seen == COOKIES_CARRIED_ON


async def test_one_name_of_this_machine_serves_cookies_as_well_as_another(
    cookies: Stack, tmp_path: Path
) -> None:
    seen = await run(
        *(cookies, COOKIE_CLIENT, tmp_path),
        NAME="numbers",
        page="127.0.0.1",
        api="127.0.0.1",
    )

    assert seen == COOKIES_CARRIED_ON


async def test_a_page_under_another_name_is_told_why_it_gets_no_cookies(
    cookies: Stack, tmp_path: Path
) -> None:
    script = """
    const signedIn = await post("signin", account, {credentials: "include"});
    return [signedIn.status, signedIn.json.code, signedIn.json.message];
    """
    status, code, message = await run(
        cookies, script, tmp_path, NAME="other", page="127.0.0.1"
    )

    assert (status, code) == (403, "cross_site_request")
    assert "localhost and 127.0.0.1 are different sites" in message


async def test_a_cookie_client_on_plain_settings_is_answered_and_the_switch_named(
    plain: Stack, tmp_path: Path
) -> None:
    script = """
    const credentials = "include";
    return [(await post("signin", account, {credentials})).status,
      (await user({credentials})).json.message,
      (await post("refreshtoken", {}, {credentials})).json.message];
    """
    seen = await run(plain, script, tmp_path, NAME="switch")

    assert seen == [200, "No token provided!", "Refresh Token is required!"]
    told = [
        each
        for each in plain.entries("identity")
        if each["event"] == "cookies_not_used"
    ]
    assert "TUTORIAL_COMPAT=true" in str(told[0]["setting"])
    assert str(told[0]["origin"]).startswith("http://localhost:")
