"""One line for each request, whatever a client says."""

import asyncio
import fcntl
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from tests.support.gateway import RunningGateway, config_for, running_gateway
from tests.support.gateway_process import gateway_process
from tests.support.raw_client import ask, raw_client
from tests.support.raw_upstream import RawUpstream, once
from tests.support.waiting import until

from gateway_service.http1.connection import ClientConnection
from gateway_service.http1.exchange import Exchange
from gateway_service.http1.parsing.requests import UNREADABLE
from gateway_service.operations.access_log import AccessLog
from service_kit.observability.log_format import LogFormat
from service_kit.requests.client_addresses import TrustedProxies

SECRET = "s3cr3t-t0ken"


async def logged(upstream: RawUpstream, folder: Path, *requests: bytes) -> list[Any]:
    """Return the lines of these requests, all written when the gateway has ended."""
    async with running_gateway(config_for(upstream.port), folder) as gateway:
        answers = [await ask(gateway.port, request) for request in requests]
        path = gateway.access_log
    lines = [json.loads(line) for line in path.read_text("ascii").splitlines()]
    ids = [answer.value("X-Request-Id") for answer in answers]
    assert [line["request_id"] for line in lines] == ids
    assert [line["status"] for line in lines] == [answer.status for answer in answers]
    return lines


async def test_a_line_says_who_asked_what_and_how_it_went(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    request = b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n"
    (line,) = await logged(upstream, tmp_path, request)
    assert line["event"] == "request"
    assert (line["method"], line["path"]) == ("GET", "/api/x")
    assert (line["route"], line["upstream"]) == ("/api", "content")
    assert line["replica"] == f"127.0.0.1:{upstream.port}"
    assert (line["client"], line["bytes"]) == ("127.0.0.1", 2)
    assert 0 < line["upstream_seconds"] <= line["seconds"] < 5
    assert line["time"].endswith("Z")


async def test_no_request_forges_a_line_or_leaves_a_secret(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    requests = [
        f"GET /api/x?access_token={SECRET} HTTP/1.1\r\nHost: a\r\n\r\n",
        f"GET /api/x HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {SECRET}\r\n\r\n",
        f"GET /api/x HTTP/1.1\r\nHost: a\r\nX-Request-Id: {SECRET}\r\n\r\n",
        'GET /api/","status":200,"x":" HTTP/1.1\r\nHost: a\r\n\r\n',
        "GET /api/%0a%0d{} HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /api/\x1b[2J HTTP/1.1\r\nHost: a\r\n\r\n",
        f"GET /api/{'a' * 5000} HTTP/1.1\r\nHost: a\r\n\r\n",
        "G'E`T /api/x HTTP/1.1\r\nHost: a\r\n\r\n",
        "\x00\x01\x02\r\n\r\n",
    ]
    data = [request.encode("latin-1") for request in requests]
    lines = await logged(upstream, tmp_path, *data)
    assert len(lines) == len(requests)
    text = (tmp_path / "access.log").read_text("ascii")
    assert SECRET not in text
    assert max(map(len, text.splitlines())) < 2_000


async def test_a_line_for_people_is_one_line_without_colours_in_a_file(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    requests = [
        f"GET /api/x?access_token={SECRET} HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /api/%1b[2J HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n",
    ]
    config = config_for(upstream.port)
    async with running_gateway(config, tmp_path, log_format=LogFormat.TEXT) as gateway:
        answers = [await ask(gateway.port, each.encode()) for each in requests]
    lines = gateway.access_log.read_text("ascii").splitlines()
    assert len(lines) == len(requests)
    assert all(line.isprintable() for line in lines)
    assert SECRET not in "".join(lines)
    for line, answer in zip(lines, answers, strict=True):
        assert f" status={answer.status} " in line
        assert line.endswith(f"request_id={answer.value('X-Request-Id')}")
    assert "INFO    gateway  GET /api/x " in lines[0]


async def test_a_client_that_left_is_logged_as_499(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    upstream.script = once(ends=False)
    async with running_gateway(config_for(upstream.port), tmp_path) as gateway:
        async with raw_client(gateway.port) as client:
            await client.send(b"POST /api/x HTTP/1.1\r\nHost: a\r\n\r\n")
            await asyncio.sleep(0.1)
            client.reset()
        await asyncio.sleep(0.1)
    (line,) = gateway.access_log.read_text("ascii").splitlines()
    assert json.loads(line)["status"] == 499


async def test_what_a_proxy_says_of_a_client_is_read_once(
    gateway: RunningGateway,
) -> None:
    loop, proxies = asyncio.get_running_loop(), TrustedProxies(["192.0.2.1"])
    client = ClientConnection(loop, gateway.app.server, "192.0.2.1")
    exchange = Exchange(client, UNREADABLE, None, started_at=0.0)

    assert exchange.origin(proxies) is exchange.origin(proxies)
    assert exchange.client_address(proxies) == "192.0.2.1"


@pytest.mark.parametrize("lines", [1, 300])
async def test_lines_are_written_soon_and_many_of_them_at_once(
    lines: int, gateway: RunningGateway, tmp_path: Path
) -> None:
    path = tmp_path / "other.log"
    stalled, running = asyncio.new_event_loop(), asyncio.get_running_loop()
    log = AccessLog(str(path), stalled if lines > 1 else running)
    client = ClientConnection(running, gateway.app.server, "192.0.2.1")
    exchange = Exchange(client, UNREADABLE, None, started_at=0.0)
    for _ in range(lines):
        log.record(exchange, "192.0.2.1", seconds=0.1)
    await until(lambda: path.read_text().count("\n") == min(lines, 256))
    await log.close()
    stalled.close()
    assert path.read_text().count("\n") == lines


async def test_the_log_follows_its_name_after_a_reload(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    request = b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n"
    async with running_gateway(config_for(upstream.port), tmp_path) as gateway:
        moved = gateway.access_log.rename(tmp_path / "access.log.1")
        await gateway.app.reload()
        await ask(gateway.port, request)
    assert moved.read_text() == ""
    assert len(gateway.access_log.read_text().splitlines()) == 1


async def test_the_client_is_named_also_behind_trusted_proxies(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    config = config_for(upstream.port, trusted_proxies=("127.0.0.0/8",))
    request = b"GET %b HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n"
    async with running_gateway(config, tmp_path) as gateway:
        for path in (b"/api/x", b"/nothing", b"/api/../x"):
            await ask(gateway.port, request % path)
        await ask(gateway.port, b"\x00\r\n\r\n")
    text = gateway.access_log.read_text("ascii")
    lines = [json.loads(line) for line in text.splitlines()]
    assert {line["peer"] for line in lines} == {"127.0.0.1"}
    clients = [line["client"] for line in lines]
    assert clients == ["192.0.2.7", "192.0.2.7", "192.0.2.7", "127.0.0.1"]


async def test_an_untrusted_peer_names_nobody_but_itself(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    request = b"GET /api/x HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n"
    (line,) = await logged(upstream, tmp_path, request)
    assert (line["client"], line["peer"]) == ("127.0.0.1", "127.0.0.1")


async def test_its_lines_have_the_shape_of_all_others(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    async with gateway_process(tmp_path, upstream.port) as gateway:
        await ask(gateway.port, b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n")
        gateway.process.terminate()
        await gateway.exit_code()
    lines = [json.loads(line) for line in gateway.events().splitlines()]
    (line,) = (tmp_path / "access.log").read_text().splitlines()
    shapes = {tuple(entry)[:7] for entry in (*lines, json.loads(line))}
    first = ("time", "level", "name", "event", "request_id", "trace_id", "service")
    assert shapes == {first}
    moments = {len(entry["time"]) for entry in (*lines, json.loads(line))}
    assert moments == {len("2026-01-01T00:00:00.000Z")}


async def test_a_reload_now_and_then_sends_no_line_to_a_client_and_loses_none(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    """A descriptor that is closed too early is the next client's."""
    answered = 0

    async def client(port: int) -> None:
        nonlocal answered
        while gateway.process.returncode is None and not over.is_set():
            request = b"GET /api/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            response = await ask(port, request)
            assert response.status == 200
            answered += 1

    over = asyncio.Event()
    async with gateway_process(tmp_path, upstream.port) as gateway:
        clients = [asyncio.create_task(client(gateway.port)) for _ in range(4)]
        for number in range(150):
            await asyncio.sleep(0.02)
            if number % 10 == 0 and (tmp_path / "access.log").exists():
                (tmp_path / "access.log").rename(tmp_path / f"access.log.{number}")
            gateway.process.send_signal(signal.SIGHUP)
        over.set()
        await asyncio.gather(*clients)
        gateway.process.terminate()
        assert await gateway.exit_code() == 0
    assert len(all_lines(tmp_path)) == answered > 50


def all_lines(folder: Path) -> list[Any]:
    """Return the lines of every access log in a folder."""
    return [
        json.loads(line)
        for path in folder.glob("access.log*")
        for line in path.read_text("ascii").splitlines()
    ]


async def test_a_stalled_reader_of_stdout_stops_neither_clients_nor_the_end(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    request = b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n"
    try:
        async with gateway_process(
            tmp_path, upstream.port, stdout=writing, GATEWAY_ACCESS_LOG="-"
        ) as gateway:
            for _ in range(100):
                assert (await ask(gateway.port, request)).status == 200
            gateway.process.terminate()
            assert await gateway.exit_code(within=6) == 0
        text = os.read(reading, 65_536).decode()
    finally:
        os.close(reading)
        os.close(writing)
    assert text.endswith("\n")
    assert all(json.loads(line)["status"] == 200 for line in text.splitlines())


async def test_no_log_is_written_when_it_is_off(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    config = config_for(upstream.port)
    async with running_gateway(config, tmp_path, access_log="off") as gateway:
        await ask(gateway.port, b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n")
    assert not gateway.access_log.exists()


async def test_metrics_count_by_route_and_never_by_path_or_invented_method(
    gateway: RunningGateway, upstream: RawUpstream
) -> None:
    for path in ("/api/a", "/api/b", "/nothing/a", "/nothing/b"):
        await ask(gateway.port, f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    await ask(gateway.port, b"BREW /api/a HTTP/1.1\r\nHost: a\r\n\r\n")
    registry = CollectorRegistry()
    registry.register(gateway.app.server.metrics)
    text = generate_latest(registry).decode()
    replica = f'replica="127.0.0.1:{upstream.port}",upstream="content"'
    for line in (
        (
            'gateway_requests_total{method="GET",route="/api",'
            'status="200",upstream="content"} 2.0'
        ),
        (
            'gateway_requests_total{method="other",route="none",'
            'status="404",upstream="none"} 2.0'
        ),
        (
            'gateway_requests_total{method="other",route="/api",'
            'status="405",upstream="none"} 1.0'
        ),
        'gateway_request_seconds_count{route="/api"} 3.0',
        f"gateway_replica_requests_total{{{replica}}} 2.0",
        f"gateway_replica_in_flight{{{replica}}} 0.0",
        f"gateway_replica_usable{{{replica}}} 1.0",
    ):
        assert line in text.splitlines()
    assert "/nothing" not in text
