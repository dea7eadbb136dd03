"""An upstream is asked for more than it can do, or has one replica that is slow.

Envoy stands beside the gateway where ENVOY names its binary: with its adaptive
concurrency, and with outlier detection.
"""

import asyncio
import os
import time
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
)
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp
import pytest
from tests.faults.figures import tell
from tests.support.gateway_process import gateway_process
from tests.support.ports import free_ports

SETTLING: Final = 3.0
"""Seconds in which an overload, or a slow replica, may be found out."""

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

LENGTH: Final = 30.0
"""Seconds that are measured."""

PATH: Final = "/api/x"
_OURS: Final = """
[upstreams.work]
addresses = [{addresses}]
concurrency = "{concurrency}"
[upstreams.work.health]
path = ""
[[routes]]
prefix = "/api/x"
upstream = "work"
"""
_ENVOY: Final = Path(__file__).with_name("envoy.yaml")


class Replica:
    """Works on some requests at once, each for a while; the others wait."""

    def __init__(self, slots: int, seconds: float) -> None:
        self._slots = asyncio.Semaphore(slots)
        self.seconds = seconds
        self.requests = 0
        self.port = 0

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer one request after the other."""
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                self.requests += 1
                async with self._slots:
                    await asyncio.sleep(self.seconds)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.close()


@asynccontextmanager
async def replicas(
    count: int, slots: int, seconds: float
) -> AsyncIterator[list[Replica]]:
    """Run some replicas for the LENGTH of a block."""
    running = [Replica(slots, seconds) for _ in range(count)]
    async with AsyncExitStack() as stack:
        for each in running:
            server = await asyncio.start_server(each.serve, "127.0.0.1", backlog=1024)
            each.port = server.sockets[0].getsockname()[1]
            stack.callback(server.close)
        yield running


@dataclass
class Report:
    """What became of requests that came at a rate, whatever became of them."""

    seconds: float
    served: list[float] = field(default_factory=list, repr=False)
    """Seconds that each response took."""
    refused: int = 0

    @property
    def per_second(self) -> float:
        return len(self.served) / self.seconds

    @property
    def p99(self) -> float:
        return sorted(self.served)[int(len(self.served) * 0.99)]

    def __str__(self) -> str:
        return (
            f"{self.per_second:.0f}/s, p99 {self.p99 * 1000:.0f} ms,"
            f" {self.refused} refused"
        )


async def load(
    session: aiohttp.ClientSession, port: int, rate: float, seconds: float
) -> Report:
    """Send requests at an even rate, and wait for all that becomes of them."""
    report = Report(seconds)
    url = f"http://127.0.0.1:{port}{PATH}"

    async def one() -> None:
        began_at = time.monotonic()
        async with session.get(url) as response:
            await response.read()
            if response.status == 200:
                report.served.append(time.monotonic() - began_at)
            else:
                report.refused += 1

    start = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            await asyncio.sleep(start + number / rate - time.monotonic())
            group.create_task(one())
    return report


@asynccontextmanager
async def ours(folder: Path, ports: Sequence[int]) -> AsyncIterator[int]:
    """Run the gateway before some replicas, and yield its port."""
    concurrency = "adaptive" if len(ports) == 1 else "fixed"
    addresses = ", ".join(f'"http://127.0.0.1:{port}"' for port in ports)
    config = _OURS.format(addresses=addresses, concurrency=concurrency)
    async with gateway_process(folder, ports[0], more_config=config) as running:
        yield running.port


@asynccontextmanager
async def envoy(folder: Path, ports: Sequence[int]) -> AsyncIterator[int]:
    """Run Envoy before the same, and yield its port."""
    binary = os.environ.get("ENVOY")
    if binary is None:
        pytest.skip("ENVOY names no binary")
    [port] = free_ports(1)
    endpoint = (
        "{{endpoint: {{address: {{socket_address:"
        " {{address: 127.0.0.1, port_value: {port}}}}}}}}}"
    )
    endpoints = ", ".join(endpoint.format(port=each) for each in ports)
    text = _ENVOY.read_text("utf-8")
    path = folder / "envoy.yaml"
    path.write_text(text.replace("ENDPOINTS", endpoints).replace("PORT", str(port)))
    process = await asyncio.create_subprocess_exec(
        *(binary, "-c", str(path), "--concurrency", "1", "--disable-hot-restart"),
        stdout=DEVNULL,
        stderr=DEVNULL,
    )
    try:
        async with asyncio.timeout(20):
            while not await _listens(port):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)
        yield port
    finally:
        process.terminate()
        await process.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


Proxy = Callable[[Path, Sequence[int]], AbstractAsyncContextManager[int]]
PROXIES: Final[dict[str, Proxy]] = {"ours": ours, "envoy": envoy}


@pytest.mark.parametrize("name", PROXIES)
async def test_at_three_times_the_capacity_goodput_and_latency_hold(
    name: str, tmp_path: Path
) -> None:
    slots, seconds = 10, 0.05
    capacity = slots / seconds
    async with (
        replicas(1, slots, seconds) as [replica],
        PROXIES[name](tmp_path, [replica.port]) as port,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        unloaded = await load(session, port, capacity / 3, LENGTH / 2)
        transition = await load(session, port, 3 * capacity, SETTLING)
        overloaded = await load(session, port, 3 * capacity, LENGTH)
    tell(name, "unloaded:", unloaded, "then:", transition, "overloaded:", overloaded)
    if name == "ours":
        assert overloaded.per_second >= 0.9 * capacity
        assert overloaded.p99 <= 2 * unloaded.p99


@pytest.mark.parametrize("name", PROXIES)
async def test_one_of_five_replicas_ten_times_slower_slows_few_requests(
    name: str, tmp_path: Path
) -> None:
    async with (
        replicas(5, 100, 0.02) as running,
        PROXIES[name](tmp_path, [each.port for each in running]) as port,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        before = await load(session, port, 200, LENGTH)
        running[0].seconds = 0.2
        transition = await load(session, port, 200, SETTLING)
        sent_before = sum(each.requests for each in running)
        slow_before = running[0].requests
        after = await load(session, port, 200, LENGTH)
        sent = sum(each.requests for each in running) - sent_before
    share = (running[0].requests - slow_before) / sent
    more = sent / (200 * LENGTH) - 1
    tell(
        name,
        before,
        "then:",
        transition,
        "after:",
        after,
        f"{more:.1%} more",
        f"{share:.2%} slow",
    )
    if name == "ours":
        assert after.p99 <= 1.3 * before.p99
        assert more <= 0.05
