"""One token, refreshed by very many at once: it is its session's business alone."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import pytest
from aiohttp import ClientSession, DummyCookieJar, TCPConnector
from sqlalchemy import func, select
from tests.support.database import connected
from tests.support.identity import (
    Answer,
    IdentityClient,
    MovableClock,
    identity_settings,
    running_identity,
)

from identity_service.composition import Services
from identity_service.domain.errors import RequestTooOldError
from identity_service.domain.limits.throttling import REFRESHES_OF_SESSION
from identity_service.domain.sessions.sessions import Device
from identity_service.storage import tables
from identity_service.usecases.sessions.token_pairs import TokenPair

PARALLEL: Final = 150
PATIENCE: Final = 2.0
"""Seconds that others may wait, on a machine that may have more to do."""


async def stored(database_url: str) -> tuple[list[object], int]:
    """Return what is stored of sessions, and how many entries are revoked."""
    async with connected(database_url) as engine, engine.connect() as connection:
        rows = await connection.execute(
            select(tables.sessions).order_by(tables.sessions.c.id)
        )
        query = select(func.count()).select_from(tables.revoked_entries)
        return list(rows), int(await connection.scalar(query) or 0)


@asynccontextmanager
async def replicas(
    database_url: str, number: int, **environ: str
) -> AsyncIterator[list[IdentityClient]]:
    """Run replicas with small pools, and clients without limits of their own."""
    settings = identity_settings(
        database_url, IDENTITY_DATABASE_POOL_SIZE="3", **environ
    )
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(
            ClientSession(cookie_jar=DummyCookieJar(), connector=TCPConnector(limit=0))
        )
        running = [
            await stack.enter_async_context(running_identity(settings))
            for _ in range(number)
        ]
        yield [IdentityClient(each.base_url, http) for each in running]


async def test_client_that_hung_up_takes_nobody_with_it(
    identity: IdentityClient, database_url: str, clock: MovableClock
) -> None:
    token = (await identity.signed_in("alice"))["refreshToken"]
    settings = identity_settings(database_url)
    async with Services(settings, clock=clock) as services:
        gone = Device("test", "127.0.0.1", is_gone=lambda: True)
        here = Device("test", "127.0.0.1")

        first, second = await asyncio.gather(
            services.tokens.refreshes.refresh((token,), gone),
            services.tokens.refreshes.refresh((token,), here),
            return_exceptions=True,
        )

    assert isinstance(first, RequestTooOldError)
    assert isinstance(second, TokenPair)


async def timed_sign_ins(identity: IdentityClient) -> list[tuple[int, float]]:
    async def one() -> tuple[int, float]:
        started_at = time.monotonic()
        answer = await identity.sign_in("bob")
        return answer.status, time.monotonic() - started_at

    return [await one() for _ in range(5)]


@pytest.mark.quiet
@pytest.mark.parametrize("number", [1, 2], ids=["1 replica", "2 replicas"])
@pytest.mark.parametrize("compat", ["false", "true"], ids=["spent", "kept"])
async def test_r4_a_crowd_refreshing_one_token_hinders_nobody(
    database_url: str, number: int, compat: str
) -> None:
    async with replicas(database_url, number, TUTORIAL_COMPAT=compat) as asked:
        pair = await asked[0].signed_in("alice")
        await asked[0].sign_up("bob")

        crowd = asyncio.gather(
            *(
                asked[place % number].refresh(pair["refreshToken"])
                for place in range(PARALLEL)
            )
        )
        others = await asyncio.gather(*map(timed_sign_ins, asked))
        answers: list[Answer] = await crowd

        assert Counter(each.status for each in answers) == {200: PARALLEL}
        assert len({each.json["refreshToken"] for each in answers}) == 1
        assert {status for each in others for status, _ in each} == {200}
        assert max(took for each in others for _, took in each) < PATIENCE
        assert await asked[0].is_accepted(answers[-1].json["accessToken"])
        assert (await asked[-1].refresh(answers[0].json["refreshToken"])).status == 200


async def test_r8_replays_store_nothing_and_end_with_what_they_repeat(
    identity: IdentityClient, database_url: str
) -> None:
    first = await identity.signed_in("alice")
    spent = (await identity.refresh(first["refreshToken"])).json
    before = await stored(database_url)

    again = [await identity.refresh(first["refreshToken"]) for _ in range(10)]

    assert {each.status for each in again} == {200}
    assert await stored(database_url) == before
    pairs = [spent, *(each.json for each in again)]
    assert len({pair["accessToken"] for pair in pairs}) == len(pairs)
    for pair in pairs:
        assert 885 < pair["expiresIn"] <= 900
        assert await identity.is_accepted(pair["accessToken"])
    await identity.sign_out(spent["refreshToken"])
    for pair in pairs:
        assert not await identity.is_accepted(pair["accessToken"])


async def test_r8_a_replay_after_its_token_was_revoked_is_not_revoked(
    identity: IdentityClient, admin: str
) -> None:
    first = await identity.signed_in("alice")
    await identity.refresh(first["refreshToken"])
    path = f"/api/users/{first['id']}/roles"
    await identity.call("PUT", path, admin, json={"roles": ["user", "moderator"]})

    again = await identity.refresh(first["refreshToken"])

    assert await identity.is_accepted(again.json["accessToken"])


@pytest.mark.parametrize("number", [1, 2], ids=["1 replica", "2 replicas"])
async def test_r4_refreshes_racing_sign_outs_are_refused_and_never_fail(
    database_url: str, number: int
) -> None:
    async with replicas(database_url, number) as asked:
        for turn in range(3):
            pair = await asked[0].signed_in(f"alice{turn}")
            token = pair["refreshToken"]
            answers = await asyncio.gather(
                *(
                    asked[place % number].sign_out(token)
                    if place % 7 == 3
                    else asked[place % number].refresh(token)
                    for place in range(PARALLEL // 2)
                )
            )

            assert {each.status for each in answers} <= {200, 403}
            assert (await asked[-1].refresh(token)).status == 403


async def test_r4_refreshes_of_one_session_are_limited(database_url: str) -> None:
    settings = identity_settings(database_url, IDENTITY_THROTTLE="on")
    limit = REFRESHES_OF_SESSION[0].amount
    async with running_identity(settings) as identity:
        pair = await identity.signed_in("alice")
        other = (await identity.sign_in("alice")).json["refreshToken"]
        answers = [
            await identity.refresh(pair["refreshToken"]) for _ in range(limit + 20)
        ]

        assert Counter(each.status for each in answers) == {200: limit, 429: 20}
        assert int(answers[-1].headers["Retry-After"]) >= 1
        assert (await identity.refresh(other)).status == 200
