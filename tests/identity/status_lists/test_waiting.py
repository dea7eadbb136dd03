"""A client may wait for a list or the keys to change (RFC 7240)."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import ClientSession
from sqlalchemy import event, func, insert, select
from tests.support.database import connected
from tests.support.identity import (
    IdentityClient,
    MovableClock,
    identity_settings,
    list_path,
    running_identity,
)

from identity_service.composition import Services
from identity_service.domain.sessions.status_entries import new_list_name
from identity_service.storage.tables import revoked_entries, status_lists
from identity_service.usecases.caching import watching

JWKS = "/.well-known/jwks.json"
FORWARDED = {"X-Forwarded-For": "203.0.113.9"}


@pytest.fixture
def clock(database_url: str) -> MovableClock:
    """At the beginning of a list's life: it is not signed again for long.

    That would end a wait, too.
    """
    lifetime = identity_settings(database_url).access_token_lifetime
    into_it = (datetime.now(UTC) - datetime.fromtimestamp(0, UTC)) % lifetime
    return MovableClock(lifetime - into_it)


@pytest.fixture
async def other_replica(
    database_url: str, clock: MovableClock
) -> AsyncIterator[IdentityClient]:
    settings = identity_settings(database_url)
    async with running_identity(settings, clock=clock) as client:
        yield client


async def etag_of(identity: IdentityClient, path: str) -> str:
    return (await identity.send("GET", path)).headers["ETag"]


async def waited(
    identity: IdentityClient, path: str, etag: str, wait: str, **headers: str
) -> tuple[int, str | None, float]:
    """Return the status, the applied preference and the seconds it took."""
    began_at = time.monotonic()
    fields = {"If-None-Match": etag, "Prefer": wait, **headers}
    response = await identity.send("GET", path, headers=fields)
    took = time.monotonic() - began_at
    return response.status, response.headers.get("Preference-Applied"), took


@pytest.mark.parametrize("path", [None, JWKS])
async def test_wait_ends_with_304_when_nothing_changes(
    identity: IdentityClient, path: str | None
) -> None:
    await identity.signed_in("alice")
    path = path or await list_path(identity)
    etag = await etag_of(identity, path)
    status, applied, took = await waited(identity, path, etag, "wait=1")
    assert (status, applied) == (304, "wait=1")
    assert took >= 0.9


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [
        ("wait=0", "wait=0"),
        ('respond-async, WAIT = "0" ; x=y', "wait=0"),
        ("wait=999", "wait=30"),
        ("wait=-1", None),
        ("wait=soon", None),
        ("waits=3", None),
        ('x="a, wait=5, b"', None),
        ('x="\\", wait=5, b", wait=0', "wait=0"),
        ('wait=0, x="a, wait=5', "wait=0"),
        ("", None),
    ],
)
async def test_response_says_which_wait_was_applied(
    identity: IdentityClient, prefer: str, applied: str | None
) -> None:
    await identity.signed_in("alice")
    path = await list_path(identity)
    response = await identity.send("GET", path, headers={"Prefer": prefer})
    assert response.status == 200
    assert response.headers.get("Preference-Applied") == applied


async def test_wait_ends_when_a_session_ends_at_any_replica(
    identity: IdentityClient, other_replica: IdentityClient
) -> None:
    for ended_at in (identity, other_replica):
        pair = await identity.signed_in(f"alice{ended_at is identity:d}")
        await asyncio.sleep(1)
        path = await list_path(identity)
        etag = await etag_of(identity, path)
        waiter = asyncio.create_task(waited(identity, path, etag, "wait=20"))
        await asyncio.sleep(0.5)
        assert not waiter.done()
        await ended_at.sign_out(pair["refreshToken"])
        status, _, took = await waiter
        assert status == 200
        assert took < 10


async def test_all_replicas_give_a_list_the_same_etag(
    identity: IdentityClient, other_replica: IdentityClient
) -> None:
    """Else a client that is balanced between them would be answered at once."""
    await identity.signed_in("alice")
    path = await list_path(identity)
    etag = await etag_of(identity, path)
    assert etag.startswith("W/")
    assert await etag_of(other_replica, path) == etag


@pytest.mark.quiet
async def test_wait_for_the_keys_ends_when_one_is_withdrawn(
    identity: IdentityClient, database_url: str, clock: MovableClock
) -> None:
    etag = await etag_of(identity, JWKS)
    waiter = asyncio.create_task(waited(identity, JWKS, etag, "wait=20"))
    await asyncio.sleep(0.5)
    assert not waiter.done()
    async with Services(identity_settings(database_url), clock=clock) as operator:
        await operator.tokens.key_rotation.withdraw()
    status, _, took = await waiter
    assert status == 200
    assert took < 4, "that is how often the keys are read in any case"


async def test_waiters_through_a_gateway_are_bounded_and_others_are_answered_at_once(
    identity: IdentityClient,
) -> None:
    await identity.signed_in("alice")
    path = await list_path(identity)
    etag = await etag_of(identity, path)
    crowd = [
        asyncio.create_task(waited(identity, path, etag, "wait=20", **FORWARDED))
        for _ in range(watching.MOST_OF_A_SITE)
    ]
    await asyncio.sleep(1)
    status, applied, took = await waited(identity, path, etag, "wait=20", **FORWARDED)
    assert (status, applied) == (304, None)
    assert took < 5
    elsewhere = {"X-Forwarded-For": "203.0.113.10"}
    assert (await waited(identity, path, etag, "wait=1", **elsewhere))[1] == "wait=1"
    assert not any(each.done() for each in crowd)

    for each in crowd:
        each.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)
    async with asyncio.timeout(10):
        while (await waited(identity, path, etag, "wait=1", **FORWARDED))[1] is None:
            pass


async def test_end_of_the_service_ends_waits_at_once(
    database_url: str, clock: MovableClock
) -> None:
    settings = identity_settings(database_url)
    async with ClientSession() as session:
        async with running_identity(settings, clock=clock) as identity:
            await identity.signed_in("alice")
            path = await list_path(identity)
            etag = await etag_of(identity, path)
            outsider = IdentityClient(identity.base_url, session)
            waiter = asyncio.create_task(waited(outsider, path, etag, "wait=30"))
            await asyncio.sleep(0.5)
            ended_at = time.monotonic()
        status, _, _ = await waiter
        assert status == 304
        assert time.monotonic() - ended_at < 5


@pytest.mark.quiet
async def test_all_lists_that_are_waited_for_cost_one_query(
    identity: IdentityClient, database_url: str, clock: MovableClock
) -> None:
    await identity.signed_in("alice")
    names = [new_list_name() for _ in range(10)]
    async with connected(database_url) as engine, engine.begin() as connection:
        first = await connection.scalar(select(func.max(status_lists.c.id)))
        rows = [
            {
                "id": (first or 0) + n,
                "name": name,
                "leased": 0,
                "permutation_key": bytes(32),
                "created_at": clock(),
            }
            for n, name in enumerate(names, 1)
        ]
        await connection.execute(insert(status_lists), rows)
    async with Services(identity_settings(database_url), clock=clock) as services:
        statements: list[str] = []
        event.listen(
            services.engine.sync_engine,
            "before_cursor_execute",
            lambda _, __, statement, *___: statements.append(statement),
        )
        await services.tokens.keys.refresh()
        watches = [await services.tokens.status_lists.watch(name) for name in names]
        seen = [await services.tokens.status_lists.get(name) for name in names]
        waiters = [
            asyncio.create_task(watch.other_than(each))
            for watch, each in zip(watches, seen, strict=True)
        ]
        await asyncio.sleep(0.5)
        statements.clear()

        await asyncio.sleep(1)

        looks = [each for each in statements if "revoked_entries" in each]
        assert 1 <= len(looks) <= 1 / watching.LOOK_SECONDS + 1
        async with connected(database_url) as engine, engine.begin() as connection:
            until = clock() + timedelta(minutes=1)
            row = {"status_list": names[7], "idx": 5, "until": until}
            await connection.execute(insert(revoked_entries).values(row))
        async with asyncio.timeout(3):
            await waiters.pop(7)
        assert not any(each.done() for each in waiters)
        for each in waiters:
            each.cancel()
        await asyncio.gather(*waiters, return_exceptions=True)
