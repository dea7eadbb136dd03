"""Lists and keys that a server pushes, well or badly (RFC 7240, ``Prefer: wait``)."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import ClientSession, web
from tests.support.issuer import Issuer
from tests.support.tokens import LISTS, public_half
from tests.support.waiting import until

from service_kit.tokens import (
    RemoteKeySet,
    RemoteStatusLists,
    StaticKeySet,
    Status,
    StatusReference,
)

SEVEN = StatusReference(LISTS + "1", 7)


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with Issuer() as running:
        running.pushes = True
        running.ttl = timedelta(seconds=60)
        yield running


@pytest.fixture
async def lists(issuer: Issuer) -> AsyncIterator[RemoteStatusLists]:
    async with followed_lists(issuer) as remote:
        yield remote


@contextlib.asynccontextmanager
async def followed_lists(issuer: Issuer) -> AsyncIterator[RemoteStatusLists]:
    keys = StaticKeySet([public_half()])
    async with (
        ClientSession() as session,
        RemoteStatusLists(issuer.prefixes, keys, session) as remote,
    ):
        assert await remote.fetch(SEVEN, datetime.now(UTC)) == Status.VALID
        await until(lambda: issuer.list_requests >= 2)
        yield remote


@pytest.fixture
async def keys(issuer: Issuer) -> AsyncIterator[RemoteKeySet]:
    issuer.keys = ["first", "second"]
    async with ClientSession() as session, RemoteKeySet(issuer.jwks_url, session) as on:
        await until(lambda: issuer.jwks_requests >= 2)
        yield on


def is_revoked(lists: RemoteStatusLists) -> bool:
    return lists.cached(SEVEN, datetime.now(UTC)) == Status.INVALID


async def test_s6_revocation_arrives_within_a_second_whatever_the_ttl(
    issuer: Issuer, lists: RemoteStatusLists
) -> None:
    issuer.revoke(7)
    await until(lambda: is_revoked(lists), seconds=1)


async def test_withdrawn_key_is_gone_within_a_second(
    issuer: Issuer, keys: RemoteKeySet
) -> None:
    kid = public_half("second").kid
    assert keys.cached(kid) is not None
    issuer.keys = ["first"]
    issuer.changed()
    await until(lambda: keys.cached(kid) is None, seconds=1)


async def test_new_key_is_found_at_its_first_use_while_a_request_waits(
    issuer: Issuer, keys: RemoteKeySet
) -> None:
    issuer.keys = ["first", "third"]
    assert await keys.fetch(public_half("third").kid) is not None


async def test_one_request_waits_while_nothing_changes(
    issuer: Issuer, lists: RemoteStatusLists, keys: RemoteKeySet
) -> None:
    await asyncio.sleep(2)
    assert issuer.list_requests == lists.fetches == 2
    assert issuer.jwks_requests == keys.fetches == 2


async def test_every_one_of_many_revocations_arrives(
    issuer: Issuer, lists: RemoteStatusLists
) -> None:
    for idx in range(500):
        issuer.revoke(idx)
        await asyncio.sleep(0)
    now = datetime.now(UTC)
    last = StatusReference(LISTS + "1", 499)
    await until(lambda: lists.cached(last, now) == Status.INVALID, seconds=2)
    for idx in range(500):
        reference = StatusReference(LISTS + "1", idx)
        assert lists.cached(reference, now) == Status.INVALID


@pytest.mark.usefixtures("lists")
async def test_server_that_never_waits_is_asked_once_a_second(issuer: Issuer) -> None:
    async def at_once(_: web.Request) -> web.StreamResponse:
        return issuer.apply(web.Response(status=304))

    issuer.answer_wait = at_once
    issuer.revoke(1)
    before, began_at = issuer.list_requests, time.monotonic()
    await asyncio.sleep(3)
    asked = issuer.list_requests - before
    assert 2 <= asked <= 2 + time.monotonic() - began_at


async def test_server_with_something_new_each_time_is_asked_five_times_a_second(
    issuer: Issuer, lists: RemoteStatusLists
) -> None:
    async def another(_: web.Request) -> web.StreamResponse:
        issuer.changed()
        return web.Response()

    issuer.answer_wait = another
    issuer.revoke(7)
    before, began_at = issuer.list_requests, time.monotonic()
    await asyncio.sleep(2)
    assert issuer.list_requests - before <= 2 + 5 * (time.monotonic() - began_at)
    assert is_revoked(lists)


@pytest.mark.parametrize("drips", [True, False], ids=["drips", "says nothing"])
async def test_push_that_is_cut_is_noticed_within_the_ttl(
    issuer: Issuer, *, drips: bool
) -> None:
    async def hang(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if drips:
            await response.prepare(request)
        while True:
            await asyncio.sleep(0.5)
            if drips:
                await response.write(b"x")

    issuer.answer_wait = hang
    issuer.ttl = timedelta(seconds=1)
    async with followed_lists(issuer) as lists:
        issuer.statuses[7] = 1
        await until(lambda: is_revoked(lists), seconds=1 + 5 + 2)
        assert lists.failures == 0


async def test_server_that_breaks_off_is_asked_again_soon_but_not_at_once(
    issuer: Issuer, lists: RemoteStatusLists
) -> None:
    async def break_off(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response(status=500)

    issuer.answer_wait = break_off
    issuer.revoke(1)
    before, began_at = issuer.list_requests, time.monotonic()
    issuer.statuses[7] = 1
    await until(lambda: is_revoked(lists), seconds=4)
    await asyncio.sleep(3)
    assert issuer.list_requests - before <= 3 + time.monotonic() - began_at


async def test_server_that_stops_to_push_is_polled(issuer: Issuer) -> None:
    async def unwaited(_: web.Request) -> web.StreamResponse:
        return web.Response(status=304)

    issuer.answer_wait = unwaited
    issuer.ttl = timedelta(seconds=1)
    async with followed_lists(issuer) as lists:
        issuer.statuses[7] = 1
        await until(lambda: is_revoked(lists), seconds=3)
