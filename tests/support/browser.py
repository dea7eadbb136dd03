"""A real browser that runs a script of ours on a page of its own origin."""

import asyncio
import shutil
from asyncio.subprocess import DEVNULL
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from aiohttp.test_utils import TestServer
from tests.support.missing import skip_missing

_LONGEST_RUN_SECONDS: Final = 40

FLAGS: Final = (
    "--headless",
    "--no-sandbox",  # tests may run as root, in a container
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

_PAGE: Final = """<!doctype html><title>page</title><script type="module">
const outcome = async () => { %s };
let results;
try { results = await outcome(); } catch (error) { results = {thrown: String(error)}; }
await fetch("/results", {method: "POST", body: JSON.stringify(results)});
</script>"""


def chromium() -> str:
    """Return the browser's path; skip where none is installed."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        skip_missing("no chromium is installed")
    return found


async def run_in_browser(
    script: str, profile: Path, port: int, *, host: str = "localhost"
) -> Any:  # noqa: ANN401 - whatever the script returns
    """Run ``script`` on a page of ``http://{host}:{port}``, return its result.

    ``script`` is the body of an async function; what it returns travels as JSON.
    """
    received: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=_PAGE % script, content_type="text/html")

    async def results(request: web.Request) -> web.Response:
        received.set_result(await request.json())
        return web.Response()

    app = web.Application()
    app.add_routes([web.get("/", page), web.post("/results", results)])
    async with TestServer(app, port=port):
        browser = await asyncio.create_subprocess_exec(
            chromium(),
            *FLAGS,
            f"--user-data-dir={profile}",
            f"http://{host}:{port}/",
            stdout=DEVNULL,
            stderr=DEVNULL,
        )
        try:
            async with asyncio.timeout(_LONGEST_RUN_SECONDS):
                return await received
        finally:
            browser.kill()
            await browser.wait()
