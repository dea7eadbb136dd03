"""Nobody reads what a process logs: it serves on, and ends when it is told to."""

import asyncio
import fcntl
import json
import os
import signal
import sys
import textwrap
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from tests.support.ports import free_ports, until_ready

SERVICE = textwrap.dedent("""
    import asyncio, logging
    from datetime import timedelta
    from dataclasses import dataclass
    from aiohttp import web
    from prometheus_client import CollectorRegistry
    from service_kit.health import Readiness
    from service_kit.running.internal_app import create_internal_app
    from service_kit.running.server import app_runner, run, serve
    from service_kit import settings as parse

    @dataclass(frozen=True)
    class Settings:
        prefix = "X_"
        port: int = parse.setting(parse.port, description="port")
        internal_port: int = parse.setting(parse.port, description="port")
        host = internal_host = "127.0.0.1"
        drain_delay = timedelta(seconds=0)
        shutdown_grace = timedelta(seconds=1)

    async def chatty(request):
        for number in range(int(request.query["lines"])):
            logging.getLogger("chatty").info("said", extra={"text": "x" * 1000})
        return web.Response(text="said")

    async def main(settings):
        readiness = Readiness()
        app = web.Application()
        app.router.add_get("/chatty", chatty)
        internal = create_internal_app("example", readiness, CollectorRegistry())
        runner = app_runner(app, settings)
        await serve(runner, internal, readiness, settings)

    run("example", main, Settings)
""")


class Service:
    """A service, and the end of the pipe that its log comes from."""

    def __init__(self, process: Process, log: int, port: int, internal: int) -> None:
        self.process = process
        self.log = log
        self.url = f"http://127.0.0.1:{port}"
        self.internal_url = f"http://127.0.0.1:{internal}"

    async def lines(self) -> list[str]:
        """Return the lines that come until there are none for a while."""
        data = b""
        os.set_blocking(self.log, False)
        quiet = 0
        while quiet < 20:
            try:
                piece = os.read(self.log, 65_536)
            except BlockingIOError:
                piece = b""
            quiet = 0 if piece else quiet + 1
            data += piece
            if not piece:
                await asyncio.sleep(0.02)
        return data.decode().splitlines()


@asynccontextmanager
async def running_service(*, close_stderr: bool = False) -> AsyncIterator[Service]:
    port, internal = free_ports(2)
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    arguments = [sys.executable, "-c", SERVICE]
    if close_stderr:
        arguments = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *arguments]
    process = await asyncio.create_subprocess_exec(
        *arguments,
        env={**os.environ, "X_PORT": str(port), "X_INTERNAL_PORT": str(internal)},
        stderr=writing,
    )
    os.close(writing)
    service = Service(process, reading, port, internal)
    try:
        await until_ready(service.internal_url)
        yield service
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        os.close(reading)


async def say(client: aiohttp.ClientSession, service: Service, lines: int) -> None:
    async with (
        asyncio.timeout(10),
        client.get(f"{service.url}/chatty?lines={lines}") as response,
    ):
        assert await response.text() == "said"


async def dropped(client: aiohttp.ClientSession, service: Service) -> int:
    async with client.get(f"{service.internal_url}/metrics") as response:
        text = await response.text()
    (line,) = (x for x in text.splitlines() if x.startswith("log_lines_dropped_total"))
    return int(float(line.split()[1]))


async def test_it_serves_on_counts_and_says_so_once_lines_are_read_again() -> None:
    async with running_service() as service, aiohttp.ClientSession() as client:
        await say(client, service, 10_000)
        await say(client, service, 1)
        lost = await dropped(client, service)
        assert lost > 1_000
        lines = [json.loads(line) for line in await service.lines()]
        reports = [x["count"] for x in lines if x["event"] == "log_lines_dropped"]
        assert sum(reports) == lost
        said = sum(1 for line in lines if line["event"] == "said")
        assert said + lost == 10_001


async def test_sigterm_ends_it_in_time_and_leaves_whole_lines() -> None:
    async with running_service() as service, aiohttp.ClientSession() as client:
        await say(client, service, 10_000)
        service.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(6):
            assert await service.process.wait() == 0
        for line in await service.lines():
            assert json.loads(line)["service"] == "example"


@pytest.mark.quiet
async def test_two_signals_end_it_at_once() -> None:
    async with running_service() as service, aiohttp.ClientSession() as client:
        await say(client, service, 10_000)
        service.process.send_signal(signal.SIGTERM)
        service.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(3):
            await service.process.wait()


async def test_closed_standard_streams_put_no_log_into_sockets() -> None:
    async with (
        running_service(close_stderr=True) as service,
        aiohttp.ClientSession() as client,
    ):
        for _ in range(5):
            await say(client, service, 10)
        assert await dropped(client, service) == 0
