"""The mail server is away, and identity is killed: nothing is lost, nobody waits."""

import asyncio
import statistics
import time
from collections import Counter
from pathlib import Path
from typing import Final

import pytest
from aiohttp import ClientSession, DummyCookieJar
from tests.support.cluster import Process
from tests.support.database import DatabaseServer, empty_database
from tests.support.identity import IdentityClient, identity_environment
from tests.support.mail_server import Mail, running_mail_server
from tests.support.operator import Operator

USERS: Final = 10
MOST_DELAY: Final = 0.05
"""Seconds by which a mail server that is away may slow a request."""


def address(number: int) -> str:
    return f"user{number}@example.test"


async def ask_for_all(identity: IdentityClient) -> list[float]:
    """Ask for a reset for each user; return how long each request took."""
    durations = []
    for number in range(USERS):
        begun_at = time.monotonic()
        answer = await identity.send(
            "POST", "/api/auth/password-reset", json={"email": address(number)}
        )
        assert answer.status == 202, answer.text
        durations.append(time.monotonic() - begun_at)
    return durations


@pytest.mark.quiet
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(6, id="6 s"),
        pytest.param(60, id="a minute", marks=pytest.mark.faults),
    ],
)
async def test_nothing_is_lost_and_nobody_waits(
    database_server: DatabaseServer, tmp_path: Path, seconds: int
) -> None:
    async with empty_database(database_server.url) as url:
        async with running_mail_server(tmp_path) as server:
            mail_url = server.url
        environment = identity_environment(url, IDENTITY_MAIL_URL=mail_url)
        migrated = await Operator(url).run("migrate")
        assert migrated.code == 0, migrated.err
        process = Process("identity", tmp_path / "identity.log", environment)
        async with ClientSession(cookie_jar=DummyCookieJar()) as session:
            identity = IdentityClient(f"http://127.0.0.1:{process.port}", session)
            process.start()
            try:
                await asyncio.to_thread(process.until_ready)
                for number in range(USERS):
                    assert (await identity.sign_up(f"user{number}")).status == 200

                away = await ask_for_all(identity)
                process.kill()  # most have not been looked at yet
                process.start()
                await asyncio.to_thread(process.until_ready)
                away += await ask_for_all(identity)
                await asyncio.sleep(seconds)

                async with running_mail_server(
                    tmp_path, port=server.port, server=server
                ):
                    await everybody_has(2, server.received)
                    there = await ask_for_all(identity) + await ask_for_all(identity)
                    await everybody_has(4, server.received)
            finally:
                process.kill()
    ids = Counter(str(mail.message["Message-ID"]) for mail in server.received)
    assert max(ids.values()) <= 2
    slowest = [max(statistics.quantiles(each, n=10)) for each in (away, there)]
    assert slowest[0] - slowest[1] < MOST_DELAY


async def everybody_has(mails: int, received: list[Mail]) -> None:
    """Wait until each user has so many different mails."""
    async with asyncio.timeout(60):
        while True:
            found = {(mail.to, str(mail.message["Message-ID"])) for mail in received}
            if Counter(to for to, _ in found) == {
                address(number): mails for number in range(USERS)
            }:
                return
            await asyncio.sleep(0.1)
