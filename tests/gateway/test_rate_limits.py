import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.support.missing import skip_missing
from tests.support.ports import free_ports

from gateway_service.config.clients import RateLimit
from gateway_service.proxy.rate_limits import (
    MOST_CLIENTS,
    MemoryCounter,
    RateLimits,
    SharedCounter,
)
from service_kit.requests.addresses import client_network

TEN_A_MINUTE = RateLimit(10, 60)
SERVER = shutil.which("valkey-server") or shutil.which("redis-server")


class FakeClock:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


async def admitted(counter: RateLimits, times: int, client: str = "192.0.2.1") -> int:
    found = [await counter.count("/api", TEN_A_MINUTE, client) for _ in range(times)]
    return [quota.wait for quota in found].count(0.0)


async def test_limit_is_admitted_at_once_and_no_more() -> None:
    limits = RateLimits("memory", now=FakeClock())

    assert await admitted(limits, 25) == 10
    assert limits.refused == 15


async def test_refusal_tells_when_to_come_back() -> None:
    clock = FakeClock()
    limits = RateLimits("memory", now=clock)
    await admitted(limits, 10)

    wait = (await limits.count("/api", TEN_A_MINUTE, "192.0.2.1")).wait
    assert wait == pytest.approx(6)

    clock.now += wait - 0.01
    assert await admitted(limits, 1) == 0
    clock.now += 0.02
    assert await admitted(limits, 3) == 1


async def test_quota_says_what_is_left() -> None:
    clock = FakeClock()
    limits = RateLimits("memory", now=clock)
    client = ("/api", TEN_A_MINUTE, "192.0.2.1")
    quotas = [await limits.count(*client) for _ in range(12)]
    assert [quota.requests for quota in quotas] == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0]
    assert quotas[0].seconds == pytest.approx(6)
    assert quotas[-1].seconds == pytest.approx(60)
    clock.now += 12
    quota = await limits.count(*client)
    assert (quota.wait, quota.requests) == (0, 1)
    assert quota.seconds == pytest.approx(54)


async def test_nobody_waits_longer_than_a_limit_that_was_relaxed_wants() -> None:
    limits = RateLimits("memory", now=FakeClock())
    of_an_hour, client = RateLimit(10, 3_600), "192.0.2.1"
    for _ in range(11):
        await limits.count("/api", of_an_hour, client)

    quota = await limits.count("/api", TEN_A_MINUTE, client)
    assert (quota.requests, quota.seconds) == (0, 60)
    assert quota.wait == pytest.approx(6)


async def test_refused_requests_do_not_lengthen_the_wait() -> None:
    clock = FakeClock()
    limits = RateLimits("memory", now=clock)
    await admitted(limits, 1_000)

    clock.now += 60

    assert await admitted(limits, 20) == 10


async def test_clients_and_routes_are_counted_apart() -> None:
    limits = RateLimits("memory", now=FakeClock())
    await admitted(limits, 10)

    assert await admitted(limits, 5, "192.0.2.2") == 5
    assert (await limits.count("/other", TEN_A_MINUTE, "192.0.2.1")).wait == 0


async def test_one_ipv6_network_is_one_client() -> None:
    limits = RateLimits("memory", now=FakeClock())

    for number in range(10):
        assert await admitted(limits, 1, f"2001:db8:0:1::{number:x}") == 1
    assert await admitted(limits, 1, "2001:db8:0:1:ffff::1") == 0
    assert await admitted(limits, 1, "2001:db8:0:2::1") == 1


@pytest.mark.parametrize(
    ("client", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("::1", "::"),
        ("", ""),
    ],
)
def test_network_of_a_client(client: str, network: str) -> None:
    assert client_network(client) == network


async def test_quiet_clients_are_forgotten() -> None:
    clock = FakeClock()
    counter = MemoryCounter(now=clock)
    await counter.count("a", TEN_A_MINUTE)
    clock.now += 5
    await counter.count("b", TEN_A_MINUTE)

    clock.now += 2
    counter.forget_idle()

    assert len(counter) == 1


async def test_memory_is_bounded_however_many_clients_come() -> None:
    counter = MemoryCounter(now=FakeClock())

    for number in range(MOST_CLIENTS + 1_000):
        await counter.count(str(number), TEN_A_MINUTE)

    assert len(counter) == MOST_CLIENTS


@asynccontextmanager
async def store(port: int, folder: Path) -> AsyncIterator[None]:
    if SERVER is None:
        skip_missing("neither valkey-server nor redis-server is installed")
    process = await asyncio.create_subprocess_exec(
        *(SERVER, "--port", str(port), "--bind", "127.0.0.1"),
        *("--save", "", "--appendonly", "no", "--dir", str(folder)),
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(10):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.02)
                else:
                    writer.transport.abort()
                    break
        yield
    finally:
        process.terminate()
        await process.wait()


async def test_gateways_that_share_a_store_count_together(tmp_path: Path) -> None:
    [port] = free_ports(1)
    async with store(port, tmp_path):
        first, second = (
            RateLimits(f"valkey://127.0.0.1:{port}", timeout=10) for _ in range(2)
        )
        await first.start()
        await second.start()

        together = await admitted(first, 8) + await admitted(second, 8)

        assert together == 10
        quota = await second.count("/api", TEN_A_MINUTE, "192.0.2.1")
        assert 0 < quota.wait <= 60
        assert quota.requests == 0
        assert 0 < quota.seconds <= 120
        assert not first.is_alone
        await first.close()
        await second.close()


async def test_store_that_goes_away_and_comes_back(tmp_path: Path) -> None:
    clock = FakeClock()
    [port] = free_ports(1)
    limits = RateLimits(f"redis://127.0.0.1:{port}", timeout=10, now=clock)
    await limits.start()

    started_at = time.monotonic()
    assert await admitted(limits, 30) == 10
    alone = [limits.is_alone]
    assert time.monotonic() - started_at < 5, "a store that is away costs no time"

    async with store(port, tmp_path):
        assert await admitted(limits, 1) == 0
        alone.append(limits.is_alone)
        clock.now += 1.1
        assert await admitted(limits, 1) == 1
        alone.append(limits.is_alone)
    assert alone == [True, True, False], "it is asked again only after a while"
    await limits.close()


async def test_silent_store_holds_requests_up_only_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def say_nothing(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.read()
        writer.transport.abort()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    limits = RateLimits(f"valkey://127.0.0.1:{port}")
    await limits.start()

    started_at = time.monotonic()
    assert await admitted(limits, 30) == 10

    assert time.monotonic() - started_at < 5
    assert limits.is_alone
    await limits.close()
    server.close()
    await server.wait_closed()
    (away,) = caplog.records
    assert vars(away)["error"] == "no response in time"


def test_place_of_the_store_shows_no_password() -> None:
    assert RateLimits("valkey://user:hunter2@127.0.0.1:1").place == "valkey"


def test_shared_counter_speaks_to_any_of_the_schemes() -> None:
    for scheme in ("valkey", "redis", "valkeys", "rediss"):
        SharedCounter(f"{scheme}://127.0.0.1:1")
