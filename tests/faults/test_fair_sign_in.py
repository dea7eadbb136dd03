"""One network signs in as fast as it can; everybody else does not notice."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, DummyCookieJar, TCPConnector
from tests.faults.figures import tell
from tests.support.cluster import Process, started
from tests.support.database import migrate
from tests.support.identity import (
    IdentityClient,
    give_signing_keys,
    identity_environment,
    identity_settings,
)

IN_FLIGHT = 72
USERS = 8
TIMES = 30
PATIENCE = 2.0

CROWDS = {
    "one address": ["203.0.113.5"],
    "32 addresses of an IPv6 /56": [f"2001:db8:0:{n:x}::{n:x}" for n in range(32)],
}


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[Process]:
    url = f"sqlite+aiosqlite:///{tmp_path / 'identity.db'}"
    await migrate(url)
    await give_signing_keys(identity_settings(url))
    settings = identity_environment(
        url, IDENTITY_BCRYPT_COST="12", IDENTITY_THROTTLE="on"
    )
    process = Process("identity", tmp_path / "identity.log", settings)
    with started(process):
        yield process


@pytest.mark.faults
@pytest.mark.timeout(300)
@pytest.mark.parametrize("crowd", CROWDS)
async def test_a_crowd_of_one_network_keeps_nobody_from_signing_in(
    process: Process, crowd: str
) -> None:
    addresses = itertools.cycle(CROWDS[crowd])
    is_over = asyncio.Event()
    statuses: Counter[int] = Counter()
    async with ClientSession(
        cookie_jar=DummyCookieJar(), connector=TCPConnector(limit=0)
    ) as http:
        client = IdentityClient(f"http://127.0.0.1:{process.port}", http)
        for number in range(USERS):
            await client.sign_up(f"crowd{number}")
        await client.sign_up("alice")

        async def again(number: int) -> None:
            while not is_over.is_set():
                headers = {"X-Forwarded-For": next(addresses)}
                answer = await client.sign_in(f"crowd{number % USERS}", headers=headers)
                statuses[answer.status] += 1

        busy = [asyncio.create_task(again(number)) for number in range(IN_FLIGHT)]
        waits = []
        for number in range(TIMES):
            started_at = time.monotonic()
            headers = {"X-Forwarded-For": f"198.51.{100 + number}.7"}
            answer = await client.sign_in("alice", headers=headers)
            waits.append(time.monotonic() - started_at)
            assert answer.status == 200, answer.text
        is_over.set()
        await asyncio.gather(*busy)

    tell(f"{crowd} {dict(statuses)}: others {max(waits):.2f} s at most")
    assert max(waits) < PATIENCE
