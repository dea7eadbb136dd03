"""The gateway's memory while clients do everything that clients do."""

import asyncio
import contextlib
import math
import random
import re
import statistics
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.faults.figures import tell
from tests.support.gateway_process import gateway_process
from tests.support.memory import pss_mib
from tests.support.raw_client import raw_client
from tests.support.raw_upstream import OK

MEBIBYTE = 1_048_576
GROWTH_MIB = 2.0
"""Between two thirds of the time. In the long form each is 60 000 requests, so that 35
bytes left by each would show, or a kilobyte by each client that broke off."""

GET = b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n"
GET_LARGE = b"GET /api/large HTTP/1.1\r\nHost: a\r\n\r\n"
LARGE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % MEBIBYTE + bytes(MEBIBYTE)


def post(length: int) -> bytes:
    head = b"POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % length
    return head + bytes(length)


@asynccontextmanager
async def small_and_large_answers() -> AsyncIterator[int]:
    """Yield the port of an upstream that keeps nothing."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                if length := re.search(rb"content-length: (\d+)", head, re.IGNORECASE):
                    await reader.readexactly(int(length[1]))
                writer.write(LARGE if b"/large" in head else OK)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def keep_asking(port: int, request: bytes, rate: float) -> None:
    """Ask so often a second, on one connection."""
    async with raw_client(port) as client:
        while True:
            await client.send(request)
            assert (await client.answer()).status == 200
            await asyncio.sleep(1 / rate)


async def keep_leaving(port: int, request: bytes, rate: float) -> None:
    """Break off so often a second, while sending or while the answer comes."""
    chance = random.Random(17)  # noqa: S311 - a test is to repeat itself
    while True:
        async with raw_client(port) as client:
            await client.send(request[: chance.randrange(2 * len(request))])
            await asyncio.sleep(chance.random() * 0.002)
            if chance.random() < 0.5:
                client.reset()
        await asyncio.sleep(1 / rate)


def mixed_traffic(port: int, rate: float) -> Iterator[Coroutine[Any, Any, None]]:
    """Yield clients that make so many requests a second, together."""
    for _ in range(20):
        yield keep_asking(port, GET, rate * 0.04)
        yield keep_asking(port, post(2_000), rate * 0.01)
    for request in (GET_LARGE, post(MEBIBYTE)):
        yield keep_asking(port, request, rate / 100)
    for request in (GET, GET_LARGE, post(2_000), post(MEBIBYTE)):
        yield keep_leaving(port, request, rate / 100)


@pytest.mark.parametrize(
    ("seconds", "rate", "bound_mib"),
    [
        pytest.param(20, 1_000, math.inf, id="short"),
        pytest.param(
            *(600, 300, 45),
            id="ten minutes",
            marks=[pytest.mark.faults, pytest.mark.timeout(700)],
        ),
    ],
)
async def test_memory_stays_flat_under_mixed_traffic(
    seconds: int, rate: float, bound_mib: float, tmp_path: Path
) -> None:
    whole, own = [], []
    async with (
        small_and_large_answers() as upstream_port,
        gateway_process(tmp_path, upstream_port) as gateway,
        asyncio.TaskGroup() as group,
    ):
        clients = [group.create_task(c) for c in mixed_traffic(gateway.port, rate)]
        for _ in range(seconds):
            await asyncio.sleep(1)
            whole.append(pss_mib(gateway.process.pid))
            # The rest of it grows when another program that shares it ends.
            own.append(pss_mib(gateway.process.pid, "Pss_Anon"))
        for client in clients:
            client.cancel()

    third = seconds // 3
    before = statistics.median(own[third : 2 * third])
    growth = statistics.median(own[2 * third :]) - before
    tell(f"PSS {max(whole):.1f} MiB at most, {growth:+.2f} MiB in a third of the time")
    assert growth <= GROWTH_MIB
    assert max(whole) <= bound_mib
