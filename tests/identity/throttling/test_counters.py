"""Counters in a real Valkey, and what happens when it is away."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.identity import identity_settings
from tests.support.valkey import ValkeyServer, valkey_server

from identity_service.composition import Services
from identity_service.diagnosis.doctor import examine_throttle
from identity_service.domain.errors import TooManyAttemptsError
from identity_service.domain.limits.throttling import SIGN_INS_OF_USER, Limit
from identity_service.storage.throttle_counters import (
    COMMAND_TIMEOUT,
    STORE_TIMEOUT,
    ValkeyCounters,
    open_counters,
)
from identity_service.usecases.limits.throttling import Throttle
from service_kit.counters import RETRY_SECONDS
from service_kit.valkey_pools import open_pool

__all__ = ["valkey_server"]

TEN_A_MINUTE = (Limit(10, timedelta(minutes=1)), Limit(15, timedelta(hours=1)))


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[ValkeyCounters]:
    counters = open_counters(url)
    assert isinstance(counters, ValkeyCounters)
    try:
        yield counters
    finally:
        await counters.close()


async def test_p8_replicas_count_together(valkey_server: ValkeyServer) -> None:
    url = valkey_server.url
    async with opened(url) as one, opened(url.replace("valkey", "redis")) as other:
        taken = await asyncio.gather(
            *(each.take("alice", TEN_A_MINUTE) for each in (one, other) * 20)
        )

        assert taken.count(None) == 10
        assert {wait for wait in taken if wait is not None} <= {
            timedelta(seconds=59),
            timedelta(seconds=60),
        }


async def test_given_back_and_cleared(valkey_server: ValkeyServer) -> None:
    async with opened(valkey_server.url) as counters:
        for _ in range(10):
            assert await counters.take("alice", TEN_A_MINUTE) is None
        assert await counters.take("alice", TEN_A_MINUTE) is not None
        await counters.give_back("alice", TEN_A_MINUTE)
        assert await counters.take("alice", TEN_A_MINUTE) is None
        assert await counters.take("alice", TEN_A_MINUTE) is not None
        await counters.clear("alice", TEN_A_MINUTE)
        assert await counters.take("alice", TEN_A_MINUTE) is None


async def test_counts_expire_in_the_store(valkey_server: ValkeyServer) -> None:
    limits = (Limit(1, timedelta(seconds=1)),)
    async with opened(valkey_server.url) as counters:
        assert await counters.take("alice", limits) is None
        assert await counters.take("alice", limits) == timedelta(seconds=1)
        await asyncio.sleep(1.1)
        assert await counters.take("alice", limits) is None


async def test_p8_what_has_expired_is_not_given_back(
    valkey_server: ValkeyServer,
) -> None:
    limits = (Limit(2, timedelta(seconds=1)), Limit(20, timedelta(minutes=1)))
    async with opened(valkey_server.url) as counters:
        for _ in range(2):
            assert await counters.take("alice", limits) is None
        await asyncio.sleep(1.1)
        for _ in range(5):
            await counters.give_back("alice", limits)
            await counters.give_back("nobody", limits)

        for key in ("alice", "nobody"):
            taken = [await counters.take(key, limits) for _ in range(6)]
            assert taken.count(None) == 2
        await asyncio.sleep(1.1)
        assert await counters.take("alice", limits) is None


async def test_no_name_or_address_is_stored(valkey_server: ValkeyServer) -> None:
    async with opened(valkey_server.url) as counters:
        throttle = Throttle(counters)
        attempt = await throttle.reserve_sign_in("alice.liddell", "198.51.100.7")
        await attempt.succeeded()
        await throttle.reserve_sign_up("198.51.100.7")
    reader, writer = await asyncio.open_connection("127.0.0.1", valkey_server.port)
    writer.write(b"KEYS *\r\n")
    keys = await reader.read(100_000)
    writer.close()

    assert b"identity-throttle" in keys
    assert b"alice" not in keys
    assert b"198.51" not in keys


@pytest.mark.quiet
async def test_p8_memory_counts_while_valkey_is_away(
    valkey_server: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with opened(valkey_server.url) as counters:
        assert await counters.take("alice", TEN_A_MINUTE) is None
        assert counters.fallbacks == 0

        await asyncio.to_thread(valkey_server.kill)
        started_at = time.monotonic()
        taken = [await counters.take("alice", TEN_A_MINUTE) for _ in range(30)]
        assert time.monotonic() - started_at < 2 * STORE_TIMEOUT
        assert taken.count(None) == 10
        assert counters.fallbacks == 30

        await asyncio.to_thread(valkey_server.start)
        await asyncio.sleep(RETRY_SECONDS)
        taken = [await counters.take("alice", TEN_A_MINUTE) for _ in range(30)]
        assert taken.count(None) == 10
        assert counters.fallbacks == 30

    events = [record.message for record in caplog.records]
    assert events == ["throttle_store_away", "throttle_store_back"]


@pytest.mark.quiet
@pytest.mark.parametrize(
    ("password", "fault"),
    [
        ("", "Authentication required."),
        ("hunter2", "invalid username-password pair or user is disabled."),
    ],
)
async def test_what_valkey_refuses_is_reported_in_words(
    valkey_server: ValkeyServer,
    caplog: pytest.LogCaptureFixture,
    password: str,
    fault: str,
) -> None:
    await asyncio.to_thread(valkey_server.kill)
    valkey_server.options = ("--requirepass", "another")
    await asyncio.to_thread(valkey_server.start)
    url = valkey_server.url.replace("://", f"://:{password}@" if password else "://")
    async with opened(url) as counters:
        assert await counters.take("alice", TEN_A_MINUTE) is None
        assert counters.fault == fault
    [away] = caplog.records
    assert vars(away)["error"] == fault


@pytest.mark.quiet
async def test_the_doctor_has_the_reason_why_valkey_does_not_count(
    valkey_server: ValkeyServer, tmp_path: Path
) -> None:
    valkey_server.stop()
    database = f"sqlite+aiosqlite:///{tmp_path}/none.sqlite"
    settings = identity_settings(
        database, IDENTITY_THROTTLE="on", IDENTITY_THROTTLE_URL=valkey_server.url
    )
    async with Services(settings) as services:
        finding = await examine_throttle(settings, services)
    assert "no response in time -> " in str(finding)


@pytest.mark.quiet
async def test_p8_every_wait_is_bounded_while_valkey_is_frozen(
    valkey_server: ValkeyServer,
) -> None:
    async with opened(valkey_server.url) as counters:
        throttle = Throttle(counters)
        await throttle.reserve_sign_in("alice", "198.51.100.7")
        valkey_server.stop()

        async def timed(number: int) -> float:
            started_at = time.monotonic()
            await throttle.reserve_sign_in(f"user {number}", f"203.0.113.{number}")
            return time.monotonic() - started_at

        at_once = await asyncio.gather(*(timed(number) for number in range(100)))
        later = [await timed(number) for number in range(100, 150)]
        valkey_server.resume()

        assert max(at_once) < 4 * STORE_TIMEOUT
        assert max(later) < 2 * STORE_TIMEOUT
        assert sorted(later)[25] < 0.05

        await asyncio.sleep(RETRY_SECONDS)
        for _ in range(SIGN_INS_OF_USER[0].amount - 1):
            await throttle.reserve_sign_in("alice", "198.51.100.7")
        with pytest.raises(TooManyAttemptsError):
            await throttle.reserve_sign_in("alice", "198.51.100.7")


@pytest.mark.quiet
async def test_p8_many_slow_answers_are_not_waited_for() -> None:
    """Each command stays below its own bound; all of a question may not."""

    answered = asyncio.Event()

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                if line.startswith(b"*"):
                    await asyncio.sleep(0.9 * COMMAND_TIMEOUT)
                    writer.write(b":1\r\n")
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        answered.set()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with opened(f"valkey://127.0.0.1:{port}") as counters:
            started_at = time.monotonic()
            await counters.take("alice", SIGN_INS_OF_USER)

            assert time.monotonic() - started_at < STORE_TIMEOUT + 0.2
            assert counters.fallbacks == 1
        await answered.wait()


async def test_valkey_absent_at_the_start(valkey_server: ValkeyServer) -> None:
    await asyncio.to_thread(valkey_server.kill)
    async with opened(valkey_server.url) as counters:
        taken = [await counters.take("alice", TEN_A_MINUTE) for _ in range(20)]

        assert taken.count(None) == 10
        assert counters.fallbacks == 20


async def test_memory_is_counters_of_its_own() -> None:
    counters = open_counters("memory://")

    taken = [await counters.take("alice", TEN_A_MINUTE) for _ in range(20)]
    await counters.close()

    assert taken.count(None) == 10


@pytest.mark.parametrize("url", ["", "memory", "http://x", "memcached://x", "valkey"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="memory://"):
        open_counters(url)


@pytest.mark.parametrize("scheme", ["valkey", "redis"])
def test_a_host_may_be_called_redis(scheme: str) -> None:
    pool = open_pool(f"{scheme}://redis:6379/0", seconds=1, most=1)
    place = pool.connection_kwargs

    assert (place["host"], place["port"], place["db"]) == ("redis", 6379, 0)
