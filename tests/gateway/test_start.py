"""A gateway serves what it can while names do not resolve."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.gateway import config_for, running_gateway, upstream_config
from tests.support.raw_client import ask
from tests.support.raw_upstream import RawUpstream

from gateway_service.config.values import Address

GET = b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def hanging_resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let look-ups of names below `hangs.test` take as long as the test."""
    over = threading.Event()
    resolve = socket.getaddrinfo

    def look_up(host: str, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        if str(host).endswith(".hangs.test"):
            over.wait(60)
        return resolve(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield
    over.set()


@pytest.mark.quiet
@pytest.mark.usefixtures("hanging_resolver")
async def test_names_that_do_not_resolve_delay_no_other_upstream(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    """However many they are: the pool of threads that all share has few."""
    config = config_for(upstream.port)
    hanging = tuple(
        upstream_config(f"hanging-{number}", addresses=(Address(name, 80),))
        for number, name in enumerate(f"{n}.hangs.test" for n in range(40))
    )
    (route,) = config.routes
    lost = replace(route, prefix="/lost", upstream="hanging-0")
    local = replace(route, prefix="/named", upstream="named")
    named = upstream_config("named", addresses=(Address("localhost", upstream.port),))
    config = replace(
        config,
        upstreams=(*hanging, *config.upstreams, named),
        routes=(*config.routes, lost, local),
    )
    started_at = time.monotonic()
    async with running_gateway(config, tmp_path) as gateway:
        assert time.monotonic() - started_at < 1.5
        assert (await ask(gateway.port, GET)).status == 200
        response = await ask(gateway.port, GET.replace(b"/api", b"/named"))
        assert response.status == 200
        response = await ask(gateway.port, GET.replace(b"/api", b"/lost"))
        assert (response.status, response.value("Retry-After")) == (503, "1")
        stopped_at = time.monotonic()
    assert time.monotonic() - stopped_at < 2


@pytest.mark.quiet
async def test_a_client_hello_on_the_plain_port_is_refused_at_once(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    hello = bytes.fromhex("16030100c8010000c40303") + b"\0" * 60
    async with running_gateway(config_for(upstream.port), tmp_path) as gateway:
        for data in (hello, hello[:1], b"\r\n" + hello, b"\x80\x2e\x01"):
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(data)
            async with asyncio.timeout(1):
                assert b" 400 " in await reader.readline()
                await reader.read()
            writer.close()
