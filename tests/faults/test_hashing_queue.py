"""More people sign in than passwords can be hashed."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, DummyCookieJar
from tests.faults.figures import tell
from tests.support.cluster import Process, started
from tests.support.database import migrate
from tests.support.identity import (
    Answer,
    IdentityClient,
    give_signing_keys,
    identity_environment,
    identity_settings,
)

CLIENTS = 100
"""More than are hashed and wait."""

SECONDS = 4


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[Process]:
    url = f"sqlite+aiosqlite:///{tmp_path / 'identity.db'}"
    await migrate(url)
    await give_signing_keys(identity_settings(url))
    settings = identity_environment(url, IDENTITY_BCRYPT_COST="10")
    process = Process("identity", tmp_path / "identity.log", settings)
    with started(process):
        yield process


async def test_p9_beyond_the_queue_503_comes_at_once_and_all_else_goes_on(
    process: Process,
) -> None:
    refused: list[tuple[float, Answer]] = []
    seen: list[tuple[float, Answer]] = []
    over_at = time.monotonic() + SECONDS

    async def sign_in(client: IdentityClient) -> None:
        while time.monotonic() < over_at:
            await asyncio.sleep(random.uniform(0, 1))  # noqa: S311
            began_at = time.monotonic()
            answer = await client.sign_in("alice")
            if answer.status != 200:
                refused.append((time.monotonic() - began_at, answer))

    async def look(client: IdentityClient) -> None:
        while time.monotonic() < over_at:
            began_at = time.monotonic()
            answer = await client.send("GET", "/.well-known/jwks.json")
            seen.append((time.monotonic() - began_at, answer))
            await asyncio.sleep(0.02)

    async with ClientSession(cookie_jar=DummyCookieJar()) as session:
        client = IdentityClient(f"http://127.0.0.1:{process.port}", session)
        await client.sign_up("alice")
        await asyncio.gather(look(client), *(sign_in(client) for _ in range(CLIENTS)))

    told, looked = (
        sorted(seconds for seconds, _ in answers) for answers in (refused, seen)
    )
    tell(f"{len(told)} refused, median {told[len(told) // 2] * 1e3:.0f} ms")
    assert len(told) > CLIENTS / 2
    for _, answer in refused:
        assert (answer.status, answer.json["code"]) == (503, "busy")
        assert int(answer.headers["Retry-After"]) >= 1
    assert told[int(0.9 * len(told))] < 0.05
    assert {answer.status for _, answer in seen} == {200}
    assert looked[int(0.99 * len(looked))] < 0.1
