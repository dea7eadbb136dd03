"""Status lists fetched from an issuer that is away, broken or hostile."""

import asyncio
import contextlib
import hashlib
import json
import os
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from tests.support.issuer import LIST_SIZE, Issuer, text_answer
from tests.support.tokens import LISTS, public_half
from tests.support.waiting import until

from service_kit.tokens import (
    CopiesOnDisk,
    InvalidTokenError,
    RemoteStatusLists,
    StaticKeySet,
    Status,
    StatusReference,
    StatusUnavailableError,
)

KEPT = 256


def ref(idx: int = 0, n: str = "1") -> StatusReference:
    return StatusReference(LISTS + n, idx)


class Lists:
    """A status source, asked about the present moment of a clock that can be set."""

    def __init__(self, lists: RemoteStatusLists) -> None:
        self.remote = lists
        self.ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    async def get(self, reference: StatusReference) -> int:
        kept = self.remote.cached(reference, self.now())
        found = await self.remote.fetch(reference, self.now())
        assert kept in {None, found}
        return found


@contextlib.asynccontextmanager
async def remote(issuer: Issuer, **options: Any) -> AsyncIterator[Lists]:  # noqa: ANN401
    subject: list[Lists] = []
    keys = StaticKeySet([public_half()])
    prefixes = options.pop("prefixes", issuer.prefixes)
    async with ClientSession() as session:
        lists = RemoteStatusLists(
            prefixes,
            keys,
            session,
            clock=lambda: subject[0].now(),  # noqa: PLW0108 - it is yet to come
            **options,
        )
        subject.append(Lists(lists))
        async with lists:
            yield subject[0]


async def test_status_is_read_from_the_list(issuer: Issuer) -> None:
    issuer.revoke(7)
    async with remote(issuer) as lists:
        assert await lists.get(ref(7)) == Status.INVALID
        assert await lists.get(ref(8)) == Status.VALID
        assert lists.remote.cached(ref(7), lists.now()) == Status.INVALID


async def test_what_must_be_fetched_first_is_not_kept(issuer: Issuer) -> None:
    async with remote(issuer) as lists:
        assert lists.remote.cached(ref(), lists.now()) is None
        await lists.get(ref())
        lists.ahead = timedelta(days=1)
        assert lists.remote.cached(ref(), lists.now()) is None


@pytest.mark.quiet
async def test_s6_revocation_arrives_within_the_ttl(issuer: Issuer) -> None:
    async with remote(issuer) as lists:
        assert await lists.get(ref(7)) == Status.VALID
        issuer.revoke(7)
        began_at = time.monotonic()
        while await lists.get(ref(7)) == Status.VALID:
            assert time.monotonic() - began_at < 2
            await asyncio.sleep(0.01)


async def test_s8_fetches_are_one_per_ttl_however_many_ask(issuer: Issuer) -> None:
    async with remote(issuer) as lists:
        for _ in range(25):
            await asyncio.gather(*(lists.get(ref(idx)) for idx in range(50)))
            await asyncio.sleep(0.1)

    assert issuer.list_requests <= 1 + 3


async def test_s8_flapping_issuer_is_asked_no_oftener(issuer: Issuer) -> None:
    good, bad = issuer.answer_list, text_answer("no", status=500)
    async with remote(issuer) as lists:
        await lists.get(ref())
        for turn in range(5):
            issuer.answer_list = bad if turn % 2 == 0 else good
            await asyncio.sleep(0.5)
            assert await lists.get(ref()) == Status.VALID

    assert issuer.list_requests <= 1 + 1 + 3


@pytest.mark.parametrize("idx", [LIST_SIZE, 1 << 40])
async def test_s3_index_outside_the_list_is_refused(issuer: Issuer, idx: int) -> None:
    async with remote(issuer) as lists:
        with pytest.raises(InvalidTokenError, match="outside"):
            await lists.get(ref(idx))


@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.example/api/auth/statuslists/1",
        "https://id.example.evil.example/api/auth/statuslists/1",
        "https://id.example/api/auth/statuslists",
        "https://id.example/api/auth/statuslists/",
        "https://id.example/api/auth/statuslistsevil/1",
        "https://id.example/api/auth/statuslists/../signout",
        "https://id.example/api/auth/statuslists/%2e%2e/signout",
        "https://id.example/api/auth/statuslists//evil.example/1",
        "https://id.example/api/auth/statuslists/1?time=1",
        "https://id.example/api/auth/statuslists/1#x",
        "https://id.example/api/auth/statuslists/1\\..",
        "https://ID.example/api/auth/statuslists/1",
        "http://id.example/api/auth/statuslists/1",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "",
    ],
)
async def test_s3_uri_outside_the_allowed_prefixes_is_refused_unasked(
    issuer: Issuer, uri: str
) -> None:
    async with remote(issuer) as lists:
        with pytest.raises(InvalidTokenError, match="nobody"):
            await lists.get(StatusReference(uri, 0))
        await asyncio.sleep(0.05)

    assert issuer.list_requests <= 1


async def test_new_list_is_fetched_when_a_token_first_names_it(issuer: Issuer) -> None:
    async with remote(issuer) as lists:
        assert await lists.get(ref(0, "2")) == Status.VALID


async def test_prefix_may_be_the_issuer_itself(issuer: Issuer) -> None:
    prefixes = {"https://id.example": issuer.url}
    async with remote(issuer, prefixes=prefixes) as lists:
        assert await lists.get(ref()) == Status.VALID
        assert lists.remote.fault() is None


async def test_all_lists_serve_and_a_bounded_number_is_kept(issuer: Issuer) -> None:
    names = [f"{n:0300}" for n in range(KEPT + 10)]
    issuer.ttl = timedelta(hours=1)
    issuer.answer_index = text_answer(
        json.dumps({"status_lists": [LISTS + name for name in names]})
    )
    async with remote(issuer) as lists:
        await until(lambda: lists.remote.fault() is None, seconds=30)
        assert len(lists.remote) == KEPT
        assert lists.remote.cached(ref(0, names[-1]), lists.now()) == Status.VALID

        for name in names[:2]:
            assert lists.remote.cached(ref(0, name), lists.now()) is None
            assert await lists.get(ref(0, name)) == Status.VALID

        assert len(lists.remote) == KEPT


BAD_LISTS: dict[str, dict[str, object]] = {
    "signed-by-another-key": {"list_key": "evil"},
    "of-another-uri": {"list_changes": {"sub": f"{LISTS}9"}},
    "expired": {"list_lifetime": timedelta(seconds=-1)},
    "bomb": {"list_changes": {"status_list": {"bits": 1, "lst": "eNo"}}},
    "html": {"answer_list": text_answer("<html>")},
    "huge": {"answer_list": text_answer("x" * 5_000_000)},
    "access-token": {"answer_list": text_answer("a.b.c")},
    "failing": {"answer_list": text_answer("no", status=503)},
}


@pytest.mark.parametrize(
    "fault", [pytest.param(each, id=f"S3-{name}") for name, each in BAD_LISTS.items()]
)
async def test_bad_list_never_came(issuer: Issuer, fault: dict[str, object]) -> None:
    for name, value in fault.items():
        setattr(issuer, name, value)
    async with remote(issuer) as lists:
        with pytest.raises(StatusUnavailableError):
            await lists.get(ref())
        assert lists.remote.fault() is not None


async def test_s6_last_list_serves_until_it_expires_and_then_fails_closed(
    issuer: Issuer,
) -> None:
    issuer.revoke(7)
    async with remote(issuer) as lists:
        await lists.get(ref())
        await issuer.stop()

        lists.ahead = timedelta(minutes=14)
        assert await lists.get(ref(8)) == Status.VALID
        assert await lists.get(ref(7)) == Status.INVALID

        lists.ahead = timedelta(minutes=16)
        with pytest.raises(StatusUnavailableError):
            await lists.get(ref(8))
        assert lists.remote.fault() is not None


async def test_s6_fail_open_lets_pass_what_was_not_revoked(issuer: Issuer) -> None:
    issuer.revoke(7)
    async with remote(issuer, fail_open=True) as lists:
        await lists.get(ref())
        await issuer.stop()
        lists.ahead = timedelta(minutes=16)

        assert await lists.get(ref(8)) == Status.VALID
        assert await lists.get(ref(7)) == Status.INVALID
        assert await lists.get(ref(0, "2")) == Status.VALID
        assert lists.remote.fault() is None


async def test_expired_list_is_fetched_once_before_it_is_used_again(
    issuer: Issuer,
) -> None:
    issuer.ttl = timedelta(hours=1)
    async with remote(issuer) as lists:
        await lists.get(ref(7))
        before = issuer.list_requests
        issuer.revoke(7)

        lists.ahead = issuer.clock_offset = timedelta(minutes=16)
        found = await asyncio.gather(*(lists.get(ref(7)) for _ in range(200)))

    assert set(found) == {Status.INVALID}
    assert issuer.list_requests - before == 1


async def test_older_list_does_not_make_revoked_tokens_valid(issuer: Issuer) -> None:
    stale = issuer.list_token()
    issuer.clock_offset = timedelta(seconds=5)
    issuer.revoke(7)
    async with remote(issuer) as lists:
        assert await lists.get(ref(7)) == Status.INVALID
        issuer.answer_list = text_answer(stale)
        before = issuer.list_requests
        await until(lambda: issuer.list_requests >= before + 2)

        assert await lists.get(ref(7)) == Status.INVALID


async def test_copies_serve_a_cold_start(issuer: Issuer, tmp_path: Path) -> None:
    issuer.revoke(7)
    async with remote(issuer, copies=CopiesOnDisk(tmp_path)) as lists:
        await lists.get(ref())
        await until(lambda: len(list(tmp_path.iterdir())) == 2)
    await issuer.stop()

    async with remote(issuer, copies=CopiesOnDisk(tmp_path)) as lists:
        assert await lists.get(ref(7)) == Status.INVALID
        assert await lists.get(ref(8)) == Status.VALID
        await until(lambda: lists.remote.fault() is None)


async def test_copy_is_never_replaced_by_an_older_list(
    issuer: Issuer, tmp_path: Path
) -> None:
    issuer.revoke(7)
    async with remote(issuer, copies=CopiesOnDisk(tmp_path)) as lists:
        assert await lists.get(ref(7)) == Status.INVALID
        issuer.statuses[7] = Status.VALID
        issuer.list_changes = {"iat": int(time.time()) - 100}
        asked = issuer.list_requests
        await until(lambda: issuer.list_requests > asked + 1, seconds=5)
    await issuer.stop()

    async with remote(issuer, copies=CopiesOnDisk(tmp_path)) as lists:
        assert await lists.get(ref(7)) == Status.INVALID


async def test_issuer_without_an_index_is_ready_all_the_same(issuer: Issuer) -> None:
    async def nothing(_: web.Request) -> web.StreamResponse:
        raise web.HTTPNotFound

    issuer.answer_index = nothing
    async with remote(issuer) as lists:
        await until(lambda: lists.remote.fault() is None)
        assert len(lists.remote) == 0


async def test_list_comes_though_the_first_who_asked_for_it_left(
    issuer: Issuer, tmp_path: Path
) -> None:
    async def nothing(_: web.Request) -> web.StreamResponse:
        raise web.HTTPNotFound

    issuer.answer_index = nothing
    async with remote(issuer, copies=CopiesOnDisk(tmp_path)) as lists:
        asking = asyncio.create_task(lists.remote.fetch(ref(), lists.now()))
        await until(lambda: len(lists.remote))
        asking.cancel()

        await until(lambda: lists.remote.cached(ref(), lists.now()) is not None)


async def test_disk_that_hangs_keeps_nobody_waiting(
    issuer: Issuer, tmp_path: Path
) -> None:
    hanging = tmp_path / hashlib.sha256(f"{LISTS}1".encode()).hexdigest()
    os.mkfifo(hanging, 0o600)
    writer = os.open(hanging, os.O_RDWR)  # so it can be opened, and never ends
    try:
        async with asyncio.timeout(5):
            assert await CopiesOnDisk(tmp_path).load(f"{LISTS}1") is None
            async with remote(issuer, copies=CopiesOnDisk(tmp_path)) as lists:
                await until(lambda: lists.remote.cached(ref(), lists.now()) is not None)
    finally:
        os.close(writer)


async def test_disk_that_takes_nothing_holds_no_revocation_up(
    issuer: Issuer, tmp_path: Path
) -> None:
    name = hashlib.sha256(f"{LISTS}1".encode()).hexdigest()
    hanging = tmp_path / f"{name}.{os.getpid()}"
    os.mkfifo(hanging, 0o600)  # which is opened for writing once somebody reads
    try:
        async with remote(issuer, copies=CopiesOnDisk(tmp_path)) as lists:
            assert await lists.get(ref(7)) == Status.VALID
            issuer.revoke(7)
            async with asyncio.timeout(5):
                while await lists.get(ref(7)) == Status.VALID:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
    finally:
        os.close(os.open(hanging, os.O_RDONLY | os.O_NONBLOCK))
