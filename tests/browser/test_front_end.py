"""What a front-end of the tutorial sees in a real browser, from another origin."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.browser import chromium, run_in_browser
from tests.support.ports import free_ports
from tests.support.stack import Stack

CALL = """
const call = async (method, path, {body, token, ...options} = {}) => {
  const headers = {};
  if (body) headers["Content-Type"] = "application/json";
  if (token !== undefined) headers["x-access-token"] = token;
  const answer = await fetch(API + path,
    {method, headers, body: body && JSON.stringify(body), ...options});
  const text = await answer.text();
  let json = null;
  try { json = JSON.parse(text); } catch { }
  return {status: answer.status, text, json,
    challenge: answer.headers.get("WWW-Authenticate"),
    requestId: answer.headers.get("X-Request-Id")};
};
"""

SESSION = Path(__file__).parents[2] / "docs" / "examples" / "front-end" / "session.mjs"
PASSWORD = "a phrase for the browser's own account"


@pytest.fixture(scope="module")
def page_port() -> int:
    return free_ports(1)[0]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, page_port: int) -> Iterator[Stack]:
    chromium()
    origin = f"http://localhost:{page_port}"
    overrides = {
        "GATEWAY_ALLOWED_ORIGINS": origin,
        "IDENTITY_ALLOWED_ORIGINS": origin,
        "IDENTITY_TOKEN_TRANSPORT": "both",
        "GATEWAY_ALLOW_CREDENTIALS": "true",
    }
    with Stack(tmp_path_factory.mktemp("browser"), overrides) as running:
        yield running


async def run(stack: Stack, script: str, profile: Path, port: int) -> Any:  # noqa: ANN401
    url = stack.base_url.replace("127.0.0.1", "localhost")
    api = f"const API = {json.dumps(url + '/api')};"
    return await run_in_browser(api + CALL + script, profile, port)


async def test_c5_a_front_end_can_read_every_answer(
    stack: Stack, tmp_path: Path, page_port: int
) -> None:
    script = f"""
    const account = {{username: "browser", password: {json.dumps(PASSWORD)}}};
    const up = await call("POST", "/auth/signup", {{token: "stale",
      body: {{...account, email: "browser@example.org"}}}});
    const signedIn = await call("POST", "/auth/signin",
      {{token: "stale", body: account}});
    const token = signedIn.json.accessToken;
    const refreshed = await call("POST", "/auth/refreshtoken",
      {{token: "stale", body: {{refreshToken: signedIn.json.refreshToken}}}});
    return {{up, signedIn, refreshed,
      everybody: await call("GET", "/test/all", {{token: "stale"}}),
      user: await call("GET", "/test/user", {{token}}),
      admin: await call("GET", "/test/admin", {{token}}),
      expired: await call("GET", "/test/user", {{token: "stale"}}),
      nobody: await call("GET", "/test/user"),
      nowhere: await call("GET", "/nowhere"),
      out: await call("POST", "/auth/signout", {{token, body: {{}}}}),
    }};
    """
    seen = await run(stack, script, tmp_path, page_port)

    assert {name: answer["status"] for name, answer in seen.items()} == {
        "up": 200,
        "signedIn": 200,
        "refreshed": 200,
        "everybody": 200,
        "user": 200,
        "admin": 403,
        "expired": 401,
        "nobody": 401,
        "nowhere": 404,
        "out": 200,
    }
    assert seen["user"]["text"] == "User Content."
    assert seen["admin"]["json"]["message"] == "Require Admin Role!"
    assert 'error="invalid_token"' in seen["expired"]["challenge"]
    assert all(answer["requestId"] for answer in seen.values())


async def test_c6_c7_a_cookie_front_end_stays_signed_in_by_cookie_alone(
    stack: Stack, tmp_path: Path, page_port: int
) -> None:
    script = f"""
    const credentials = "include";
    const account = {{username: "cookies", password: {json.dumps(PASSWORD)}}};
    await call("POST", "/auth/signup",
      {{body: {{...account, email: "cookies@example.org"}}}});
    await call("POST", "/auth/signin", {{body: account, credentials}});
    const user = await call("GET", "/test/user", {{credentials}});
    const refreshed = await call("POST", "/auth/refreshtoken",
      {{body: {{}}, credentials}});
    const without = await call("GET", "/test/user", {{credentials: "omit"}});
    const out = await call("POST", "/auth/signout", {{body: {{}}, credentials}});
    const after = await call("GET", "/test/user", {{credentials}});
    return {{user, refreshed, without, out, after, readable: document.cookie}};
    """
    seen = await run(stack, script, tmp_path, page_port)

    assert seen["user"]["text"] == "User Content."
    assert seen["refreshed"]["status"] == 200
    assert seen["without"]["status"] == 401
    assert seen["out"]["status"] == 200
    assert seen["after"]["status"] == 401
    assert seen["readable"] == ""


async def test_c1_a_page_of_another_origin_reads_nothing(
    stack: Stack, tmp_path: Path
) -> None:
    (other_port,) = free_ports(1)
    script = """
    const outcomes = [];
    for (const path of ["/test/all", "/nowhere"]) {
      try { outcomes.push((await call("GET", path)).status); }
      catch (error) { outcomes.push(error.name); }
    }
    try { outcomes.push((await call("POST", "/auth/signin", {body: {}})).status); }
    catch (error) { outcomes.push(error.name); }
    return outcomes;
    """
    seen = await run(stack, script, tmp_path, other_port)

    assert seen == ["TypeError", "TypeError", "TypeError"]


def with_session(script: str) -> str:
    """Return a script that has the guide's module."""
    module = json.dumps(SESSION.read_text("utf-8"))
    return f"""
    const source = "data:text/javascript," + encodeURIComponent({module});
    const {{ Session, Refused }} = await import(source);
    {script}"""


async def test_the_session_of_the_guide_survives_a_reload_and_refreshes_once(
    stack: Stack, tmp_path: Path, page_port: int
) -> None:
    gateway = json.dumps(stack.base_url.replace("127.0.0.1", "localhost"))
    script = f"""
    const account = {{username: "reader", password: {json.dumps(PASSWORD)}}};
    const email = "r@example.org";
    await call("POST", "/auth/signup", {{body: {{...account, email}}}});
    const session = new Session({gateway});
    let refused;
    try {{ await session.signIn(account.username, "wrong phrase"); }}
    catch (error) {{ refused = [error instanceof Refused, error.status]; }}
    const pair = await session.signIn(account.username, account.password);
    const seen = await session.fetch("/api/test/user");
    const reloaded = new Session({gateway});
    const together = await Promise.all([1, 2, 3].map(() =>
      reloaded.fetch("/api/test/user").then((response) => response.text())));
    await reloaded.signOut();
    return {{refused, hidden: !("refreshToken" in pair), seen: await seen.text(),
      together, after: await new Session({gateway}).restore()}};
    """
    found = await run(stack, with_session(script), tmp_path, page_port)

    assert found == {
        "refused": [True, 401],
        "hidden": True,
        "seen": "User Content.",
        "together": ["User Content."] * 3,
        "after": False,
    }


async def test_the_session_of_the_guide_is_of_whoever_signed_in_last(
    stack: Stack, tmp_path: Path, page_port: int
) -> None:
    """Even if the response to an earlier refresh comes later."""
    gateway = json.dumps(stack.base_url.replace("127.0.0.1", "localhost"))
    script = f"""
    const accounts = ["early", "late"].map((username) =>
      ({{username, password: {json.dumps(PASSWORD)}}}));
    for (const each of accounts) {{
      const body = {{...each, email: each.username + "@example.org"}};
      await call("POST", "/auth/signup", {{body}});
    }}
    const [early, late] = accounts;
    await new Session({gateway}).signIn(early.username, early.password);
    const send = globalThis.fetch;
    let release;
    const held = new Promise((resolve) => (release = resolve));
    globalThis.fetch = async (address, options) => {{
      const response = await send(address, options);
      if (address.endsWith("refreshtoken")) await held;
      return response;
    }};
    const session = new Session({gateway});
    const restoring = session.restore();
    await session.signIn(late.username, late.password);
    release();
    await restoring;
    return (await (await session.fetch("/api/users/me")).json()).username;
    """
    assert await run(stack, with_session(script), tmp_path, page_port) == "late"


async def test_the_session_of_the_guide_reads_the_refusal_of_a_proxy(
    stack: Stack, tmp_path: Path, page_port: int
) -> None:
    script = """
    const send = globalThis.fetch;
    globalThis.fetch = async () => new Response("<h1>Bad gateway</h1>", {status: 502});
    const refused = await new Session().signIn("a", "b").catch((error) => error);
    globalThis.fetch = send;  // of the test itself
    return [refused instanceof Refused, refused.status, refused.message];
    """
    found = await run(stack, with_session(script), tmp_path, page_port)
    assert found == [True, 502, "Status 502"]
