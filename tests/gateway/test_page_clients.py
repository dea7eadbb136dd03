"""Clients of the API in pages, when an access token expires; run by node."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from tests.support.missing import skip_missing

CONSOLE: Final = (
    Path(__file__).parents[2] / "gateway/src/gateway_service/console/files/console"
)

SESSION: Final = Path(__file__).parents[2] / "docs/examples/front-end/session.mjs"

PAGE: Final = """
const fetched = globalThis.fetch;
globalThis.fetch = (path, options) => fetched(process.argv[2] + path, options);
const { call, hold, whenLost } = await import("./api.js");
let lost = 0;
whenLost(() => (lost += 1));
const outcome = (path) =>
  call("GET", path).then(({ data }) => data, ({ status }) => status);
"""
GUIDES_PAGE: Final = """
const { Session } = await import("./session.mjs");
const session = new Session(process.argv[2]);
const lost = 0;
const outcome = (path) => session.fetch(path).then(({ status }) => status);
const renewed = () => session.restore().catch(({ status }) => status);
"""
_LONGEST_RUN_SECONDS: Final = 30
REPORT: Final = "console.log(JSON.stringify({ said, lost }));"


class Api:
    """Two paths that want the newest access token, one slower than the other."""

    def __init__(self) -> None:
        self.refusals: list[int] = []
        """Statuses of the refreshes to come; without one they succeed."""
        self.silences = 0
        """How many of the refreshes to come get no response."""
        self.ended = asyncio.Event()
        """Set once the page has ended."""
        self.refreshes = 0
        self._token = "first"

    async def refresh(self, request: web.Request) -> web.Response:
        assert "expired" not in request.headers.get("Authorization", "")
        self.refreshes += 1
        if self.refreshes <= self.silences:
            await self.ended.wait()
        await asyncio.sleep(0.3)
        if self.refusals:
            return web.json_response({}, status=self.refusals.pop(0))
        self._token = "second"
        return web.json_response({"accessToken": self._token})

    async def quick(self, request: web.Request) -> web.Response:
        is_good = request.headers.get("Authorization") == f"Bearer {self._token}"
        return web.json_response(
            "ok" if is_good else {}, status=200 if is_good else 401
        )

    async def slow(self, request: web.Request) -> web.Response:
        response = await self.quick(request)
        await asyncio.sleep(0.15)
        return response

    async def half(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 10
        await response.prepare(request)
        await response.write(b"half")
        await self.ended.wait()
        return response

    async def slowest(self, request: web.Request) -> web.Response:
        response = await self.quick(request)
        await asyncio.sleep(0.6)
        return response


async def run(api: Api, folder: Path, script: str) -> Any:  # noqa: ANN401 - JSON
    if shutil.which("node") is None:
        skip_missing("node is not installed")
    for module in ("api.js", "dom.js"):
        shutil.copy(CONSOLE / module, folder)
    (folder / "package.json").write_text('{"type": "module"}', "utf-8")
    shutil.copy(SESSION, folder)
    (folder / "page.mjs").write_text(script + REPORT, "utf-8")
    app = web.Application()
    app.router.add_post("/api/auth/refreshtoken", api.refresh)
    for handler in (api.quick, api.slow, api.slowest, api.half):
        app.router.add_get(f"/{handler.__name__}", handler)
    async with TestServer(app) as server:
        process = await asyncio.create_subprocess_exec(
            *("node", folder / "page.mjs", str(server.make_url("")).rstrip("/")),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(_LONGEST_RUN_SECONDS):
                printed, _ = await process.communicate()
        finally:
            api.ended.set()
            if process.returncode is None:
                process.kill()
    return json.loads(printed)


async def test_requests_of_one_moment_wait_for_one_refresh(tmp_path: Path) -> None:
    api = Api()
    script = (
        PAGE
        + """hold("expired");
      const said = await Promise.all(["/quick", "/slow", "/slowest"].map(outcome));"""
    )

    assert await run(api, tmp_path, script) == {"said": ["ok"] * 3, "lost": 0}
    assert api.refreshes == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_a_refresh_that_fails_for_now_is_tried_again(
    tmp_path: Path, status: int
) -> None:
    api = Api()
    api.refusals = [status]
    script = (
        PAGE
        + """hold("expired");
      const said = [await outcome("/quick"), await outcome("/quick")];"""
    )

    assert await run(api, tmp_path, script) == {"said": [status, "ok"], "lost": 0}


async def test_a_session_that_is_over_is_told_of_once(tmp_path: Path) -> None:
    api = Api()
    api.refusals = [403]
    script = (
        PAGE
        + """hold("expired");
      const said = [await outcome("/quick"), await outcome("/quick")];"""
    )

    assert await run(api, tmp_path, script) == {"said": [401, 401], "lost": 1}
    assert api.refreshes == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_the_guides_session_is_not_over_for_a_refresh_that_fails_for_now(
    tmp_path: Path, status: int
) -> None:
    api = Api()
    api.refusals = [status]
    script = GUIDES_PAGE + "const said = [await renewed(), await renewed()];"

    assert await run(api, tmp_path, script) == {"said": [status, True], "lost": 0}


async def test_requests_of_the_guides_session_wait_for_one_refresh(
    tmp_path: Path,
) -> None:
    api = Api()
    script = (
        GUIDES_PAGE
        + """
      const said = await Promise.all(["/quick", "/slow", "/slowest"].map(outcome));"""
    )

    assert await run(api, tmp_path, script) == {"said": [200] * 3, "lost": 0}
    assert api.refreshes == 1


IMPATIENT: Final = """
const timeout = AbortSignal.timeout.bind(AbortSignal);
AbortSignal.timeout = (milliseconds) => timeout(milliseconds / 20);
"""
"""A page for which time passes twenty times as fast."""


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (
            PAGE
            + """hold("expired");
            const said = [await outcome("/quick"), await outcome("/quick")];""",
            [0, "ok"],
        ),
        (
            GUIDES_PAGE + "const said = [await renewed(), await renewed()];",
            [None, True],
        ),
    ],
    ids=["console", "guide"],
)
async def test_a_refresh_without_a_response_holds_no_other_up_for_ever(
    tmp_path: Path, page: str, said: list[object]
) -> None:
    api = Api()
    api.silences = 1

    assert await run(api, tmp_path, IMPATIENT + page) == {"said": said, "lost": 0}


async def test_half_a_response_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    script = (
        IMPATIENT
        + PAGE
        + """
      const said = await call("GET", "/half").catch((error) => error.message);"""
    )

    said = "The response is incomplete. Please try again."
    assert await run(Api(), tmp_path, script) == {"said": said, "lost": 0}
