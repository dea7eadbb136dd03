"""The kit's server, as a process of its own: that is what gets signals."""

import asyncio
import json
import os
import signal
import socket
import sys
import textwrap
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator

import aiohttp
import pytest
from tests.support.ports import free_ports, until_ready
from tests.support.raw_client import ask

from service_kit.observability.process import BUILD

SERVICE = textwrap.dedent("""
    import asyncio, sys
    from datetime import timedelta
    from dataclasses import dataclass
    from aiohttp import web
    from prometheus_client import CollectorRegistry
    from service_kit.requests.middleware import request_middleware
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
        drain_delay = timedelta(seconds=0.5)
        shutdown_grace = timedelta(seconds=5)

    async def slow(_):
        await asyncio.sleep(1)
        return web.Response(text="slow")

    async def fast(_):
        return web.Response(text="fast")

    async def main(settings):
        readiness = Readiness()
        app = web.Application(middlewares=[request_middleware({}, readiness=readiness)])
        app.router.add_get("/slow", slow)
        app.router.add_get("/fast", fast)
        internal = create_internal_app("example", readiness, CollectorRegistry())
        runner = app_runner(app, settings)
        await serve(runner, internal, readiness, settings)

    run("example", main, Settings)
""")


class Running:
    def __init__(self, process: Process, port: int, internal_port: int) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self.internal_url = f"http://127.0.0.1:{internal_port}"


@pytest.fixture
async def service() -> AsyncIterator[Running]:
    port, internal_port = free_ports(2)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        SERVICE,
        env={**os.environ, "X_PORT": str(port), "X_INTERNAL_PORT": str(internal_port)},
        stderr=PIPE,
    )
    running = Running(process, port, internal_port)
    try:
        await until_ready(running.internal_url)
        yield running
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_sigterm_finishes_what_is_in_flight_and_exits_0(service: Running) -> None:
    async with aiohttp.ClientSession(service.url) as client:
        in_flight = asyncio.create_task(client.get("/slow"))
        await asyncio.sleep(0.2)
        service.process.send_signal(signal.SIGTERM)
        answer = await in_flight

        assert await answer.text() == "slow"
    _, log = await service.process.communicate()
    assert service.process.returncode == 0
    assert b"Traceback" not in log


async def test_while_draining_answers_close_and_readiness_is_503(
    service: Running,
) -> None:
    async with aiohttp.ClientSession() as client:
        await (await client.get(service.url + "/fast")).read()
        service.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.1)
        answer = await client.get(service.url + "/fast")

        assert (answer.status, answer.headers["Connection"]) == (200, "close")
        assert (await client.get(service.internal_url + "/readyz")).status == 503
        assert (await client.get(service.internal_url + "/livez")).status == 200


@pytest.mark.quiet
async def test_a_second_signal_ends_it_at_once(service: Running) -> None:
    async with aiohttp.ClientSession(service.url) as client:
        in_flight = asyncio.create_task(client.get("/slow"))
        await asyncio.sleep(0.2)
        service.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.1)
        service.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(0.6):
            _, log = await service.process.communicate()

        assert service.process.returncode == 128 + signal.SIGTERM
        assert b"Traceback" not in log
        with pytest.raises(aiohttp.ClientError):
            await in_flight


async def test_a_request_that_cannot_be_parsed_is_one_short_line_in_the_log(
    service: Running,
) -> None:
    port = int(service.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /hush\x01 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b" 400 " in await reader.readline()
    writer.close()
    service.process.send_signal(signal.SIGTERM)
    _, log = await service.process.communicate()

    assert b"Traceback" not in log
    assert b"hush" not in log
    assert log.count(b"unparsable_request") == 1


@pytest.mark.parametrize(
    ("expectation", "interim"),
    [(b"100-Continue", (100,)), (b"the-worst", ()), (b"\xff", ()), (b"", ())],
)
async def test_no_expectation_changes_a_response(
    service: Running, expectation: bytes, interim: tuple[int, ...]
) -> None:
    port = int(service.url.rpartition(":")[2])
    for target, status in {
        b"GET /fast": 200,
        b"POST /fast": 405,
        b"GET /nowhere": 404,
        b"GET http://a": 404,
        b"OPTIONS *": 404,
        b"CONNECT a:1": 404,
    }.items():
        head = target + b" HTTP/1.1\r\nHost: a\r\nExpect: " + expectation
        received = await ask(port, head + b"\r\n\r\n")

        assert (received.status, received.interim) == (status, interim)
        assert received.value("Server") == "gatehouse"
    service.process.send_signal(signal.SIGTERM)
    _, log = await service.process.communicate()
    assert b"Traceback" not in log


async def test_bad_settings_are_all_named_with_exit_2() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVICE, env={"X_PORT": "none"}, stderr=PIPE
    )
    _, log = await process.communicate()

    assert process.returncode == 2
    assert b"X_PORT" in log
    assert b"X_INTERNAL_PORT" in log


@pytest.mark.parametrize("taken", ["X_PORT", "X_INTERNAL_PORT"])
async def test_a_port_that_is_taken_is_one_line_with_exit_2(taken: str) -> None:
    ports = dict(zip(("X_PORT", "X_INTERNAL_PORT"), free_ports(2), strict=True))
    with socket.create_server(("127.0.0.1", ports[taken])):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", SERVICE),
            env={**os.environ, **{name: str(port) for name, port in ports.items()}},
            stderr=PIPE,
        )
        _, log = await process.communicate()

    line = f"cannot listen on 127.0.0.1:{ports[taken]}: Address already in use\n"
    assert (process.returncode, log.decode()) == (2, line)


async def test_where_it_serves_is_said_as_people_write_it(service: Running) -> None:
    service.process.send_signal(signal.SIGTERM)
    _, log = await service.process.communicate()
    (line,) = (x for x in map(json.loads, log.splitlines()) if x["event"] == "serving")
    assert f"http://{line['address']}" == service.url
    assert f"http://{line['internal_address']}" == service.internal_url
    assert line["build"] == BUILD


@pytest.mark.quiet
async def test_a_client_hello_on_the_plain_port_is_refused_at_once(
    service: Running,
) -> None:
    port = int(service.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(bytes.fromhex("16030100c8010000c40303") + bytes(60))
    async with asyncio.timeout(1):
        await reader.read()
    writer.close()
