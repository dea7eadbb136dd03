"""Content while its issuer fails; the long forms run with ``make faults``."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession
from tests.support.content import Content, content
from tests.support.issuer import Issuer, keys_answer, text_answer
from tests.support.ports import free_ports
from tests.support.tokens import (
    LISTS,
    OMIT,
    b64,
    mint,
    private_key,
    public_half,
)
from tests.support.waiting import until

from service_kit.tokens import public_jwk

LONG = pytest.mark.faults


@pytest.mark.parametrize(
    "seconds", [2, pytest.param(300, marks=[LONG, pytest.mark.timeout(400)])]
)
async def test_issuer_down_fails_no_request_with_an_unexpired_token(
    issuer: Issuer, service: Content, seconds: int
) -> None:
    tokens = [issuer.mint(idx) for idx in range(100)]
    assert (await service.get(token=tokens[0])).status == 200
    await issuer.stop()

    statuses = await load(service, tokens, seconds)

    assert statuses == {200}
    assert (await service.get("/api/test/all")).status == 200


async def test_a_new_key_is_found_while_all_of_many_lists_are_waited_for(
    issuer: Issuer,
) -> None:
    uris = [f"{LISTS}{n}" for n in range(1, 121)]
    issuer.pushes, issuer.ttl = True, timedelta(seconds=60)
    issuer.answer_index = text_answer(json.dumps({"status_lists": uris}))
    async with content(issuer) as service:
        await until(lambda: issuer.list_requests >= 2 * len(uris), seconds=10)

        issuer.keys = ["first", "second"]
        answer = await service.get(token=issuer.mint(key="second"))

        assert answer.status == 200


@pytest.mark.quiet
async def test_start_without_the_issuer(issuer: Issuer) -> None:
    await issuer.stop()
    async with content(issuer, wait=False) as service:
        answer = await service.get(token=mint())
        assert answer.status == 503
        assert answer.headers["Retry-After"]
        assert (await service.get("/api/test/all")).status == 200
        assert (await service.get()).status == 401
        assert not await service.ready()
        await asyncio.sleep(0.7)

        await issuer.start()
        began_at = time.monotonic()
        while not await service.ready():
            assert time.monotonic() - began_at < 2
            await asyncio.sleep(0.01)
        assert (await service.get(token=issuer.mint())).status == 200


async def test_restart_without_the_issuer_from_copies(
    issuer: Issuer, tmp_path: Path
) -> None:
    token, revoked = issuer.mint(1), issuer.mint(7)
    issuer.revoke(7)
    async with content(issuer, CONTENT_COPIES_FOLDER=str(tmp_path)) as service:
        assert (await service.get(token=token)).status == 200
        await until(lambda: len(list(tmp_path.iterdir())) == 3)
    await issuer.stop()

    async with content(
        issuer, wait=False, CONTENT_COPIES_FOLDER=str(tmp_path)
    ) as service:
        assert (await service.get(token=token)).status == 200
        assert (await service.get(token=revoked)).status == 401
        await until_ready(service)


@pytest.mark.parametrize(
    ("rotations", "pause"),
    [(3, 1.6), pytest.param(12, 10, marks=[LONG, pytest.mark.timeout(300)])],
)
async def test_rotations_refuse_no_valid_token(
    issuer: Issuer, rotations: int, pause: float
) -> None:
    names = [f"rotated {n}" for n in range(rotations)]
    for name in names:
        private_key(name)
    async with content(issuer) as one, content(issuer) as other:
        before = issuer.jwks_requests
        began_at = time.monotonic()
        held = [issuer.mint(0)]
        for n, name in enumerate(names):
            issuer.keys = [name, *issuer.keys][:2]
            issuer.list_key = name
            held.append(issuer.mint(n, key=name))
            for service in (one, other):
                assert await load(service, held[-2:], pause / 2) == {200}
        ticks = (time.monotonic() - began_at) // 60 + 1
        assert issuer.jwks_requests - before <= (rotations + ticks) * 2

        for service in (one, other):
            assert (await service.get(token=held[0])).status == 401


async def test_withdrawn_key_is_refused_by_every_replica_at_its_next_refresh(
    issuer: Issuer,
) -> None:
    issuer.max_age = 5
    private_key("second")
    async with content(issuer) as one, content(issuer) as other:
        token = issuer.mint()
        for service in (one, other):
            assert (await service.get(token=token)).status == 200
        issuer.keys, issuer.list_key = ["second"], "second"

        began_at = time.monotonic()
        for service in (one, other):
            while (await service.get(token=token)).status != 401:
                assert time.monotonic() - began_at < 8
                await asyncio.sleep(0.05)
            assert (await service.get(token=issuer.mint(key="second"))).status == 200


def poisons() -> Iterator[tuple[str, Callable[[], list[object]]]]:
    """Yield what is published, by name; the attacker has the key called evil."""
    ours, kid = public_jwk(public_half()), public_half().kid

    def evil(**changes: object) -> dict[str, object]:
        return {**public_jwk(public_half("evil")), "kid": kid, **changes}

    def weak(bits: int) -> str:
        modulus = (1 << bits) - 1
        return b64(modulus.to_bytes(bits // 8))

    yield "our name twice", lambda: [ours, evil()]
    yield "our name twice, ours last", lambda: [evil(), ours]
    yield "oct", lambda: [{"kty": "oct", "alg": "HS256", "k": "AAAA", "kid": kid}]
    yield "EC", lambda: [{"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": kid}]
    yield "for encryption", lambda: [evil(use="enc")]
    yield "another algorithm", lambda: [evil(alg="PS256")]
    yield "private", lambda: [evil(d="AQAB")]
    yield "exponent 3", lambda: [evil(e="Aw")]
    yield "exponent 1", lambda: [evil(e="AQ")]
    yield "512 bits", lambda: [evil(n=weak(512))]
    yield "1024 bits", lambda: [evil(n=weak(1024))]
    yield "10 000 keys", lambda: [ours, *(evil(kid=str(n)) for n in range(10_000))]


@pytest.mark.parametrize(
    "published", [pytest.param(p, id=name) for name, p in poisons()]
)
async def test_poisoned_set_lets_no_attacker_in(
    issuer: Issuer, service: Content, published: Callable[[], list[object]]
) -> None:
    good, forged = issuer.mint(), mint(key="evil", header={"kid": public_half().kid})
    assert (await service.get(token=good)).status == 200
    issuer.answer_jwks, before = keys_answer(*published()), issuer.jwks_requests

    unknown = await service.get(token=mint(header={"kid": "made up"}))

    assert unknown.status in {401, 503}
    assert issuer.jwks_requests > before
    assert (await service.get(token=forged)).status == 401
    assert (await service.get(token=good)).status == 200


@pytest.mark.parametrize(
    ("minutes", "status"), [(-0.49, 200), (0, 200), (0.49, 200), (-5, 401), (16, 401)]
)
async def test_clock_skew(issuer: Issuer, minutes: float, status: int) -> None:
    def clock() -> datetime:
        return datetime.now(UTC) + timedelta(minutes=minutes)

    issuer.list_lifetime = timedelta(hours=1)
    async with content(issuer, clock=clock, wait=False) as service:
        await until(lambda: service.metric("verification_keys"))

        if minutes == -5:
            answer = await service.get(token=issuer.mint(0))
            assert answer.status in {401, 503}
        else:
            assert (await service.get(token=issuer.mint(0))).status == status


async def test_issuer_an_hour_back_is_refused_without_a_crash(
    issuer: Issuer, service: Content
) -> None:
    token = issuer.mint()
    assert (await service.get(token=token)).status == 200

    issuer.clock_offset = timedelta(hours=-1)
    assert (await service.get(token=issuer.mint())).status == 401
    assert (await service.get(token=token)).status == 200


async def test_frozen_process_fetches_once_and_goes_on(issuer: Issuer) -> None:
    issuer.list_lifetime = timedelta(seconds=2)
    async with content_process(issuer) as (process, port), ClientSession() as http:
        url = f"http://127.0.0.1:{port}/api/test/user"
        headers = {"x-access-token": issuer.mint(3)}

        async def get() -> int:
            async with http.get(url, headers=headers) as answer:
                return answer.status

        async with asyncio.timeout(10):
            while not await answers(get):  # noqa: ASYNC110 - it is starting
                await asyncio.sleep(0.05)
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(2.5)
        before = issuer.list_requests
        issuer.revoke(3)
        process.send_signal(signal.SIGCONT)

        assert set(await asyncio.gather(*(get() for _ in range(30)))) == {401}
        assert issuer.list_requests - before <= 2


async def test_s6_list_that_has_expired_fails_closed_or_open_as_set(
    issuer: Issuer,
) -> None:
    issuer.list_lifetime = timedelta(seconds=2)
    async with (
        content(issuer) as closed,
        content(issuer, CONTENT_STATUS_LIST_FAIL_OPEN="true") as open_,
    ):
        token = issuer.mint()
        assert (await closed.get(token=token)).status == 200
        assert (await open_.get(token=token)).status == 200
        await issuer.stop()
        await asyncio.sleep(2.2)

        answer = await closed.get(token=token)
        assert answer.status == 503
        assert answer.headers["Retry-After"]
        assert not await closed.ready()
        assert (await closed.get("/api/test/all")).status == 200
        assert (await open_.get(token=token)).status == 200


@pytest.mark.quiet
async def test_s6_sign_out_reaches_three_replicas_within_three_seconds(
    issuer: Issuer,
) -> None:
    async with content(issuer) as a, content(issuer) as b, content(issuer) as c:
        token = issuer.mint(9)
        for replica in (a, b, c):
            assert (await replica.get(token=token)).status == 200

        issuer.revoke(9)
        revoked_at = time.monotonic()
        for replica in (a, b, c):
            while (await replica.get(token=token)).status != 401:
                assert time.monotonic() - revoked_at < 3
                await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "status", [OMIT, {"status_list": {"idx": 0, "uri": f"{LISTS}1"}}]
)
async def test_status_may_be_optional(issuer: Issuer, status: object) -> None:
    async with content(issuer, CONTENT_REQUIRE_STATUS="false") as service:
        token = mint(claims={"status": status})
        assert (await service.get(token=token)).status == 200


async def test_no_status_is_read_where_no_list_is_configured(issuer: Issuer) -> None:
    async with content(
        issuer,
        wait=False,
        CONTENT_REQUIRE_STATUS="false",
        CONTENT_STATUS_LIST_URLS="",
    ) as service:
        await until(lambda: service.metric("verification_keys"))
        assert (await service.get(token=issuer.mint())).status == 200


async def load(service: Content, tokens: list[str], seconds: float) -> set[int]:
    """Send requests for a while; return the statuses seen."""
    statuses: set[int] = set()

    async def client(n: int) -> None:
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at:
            statuses.add((await service.get(token=tokens[n % len(tokens)])).status)
            n += 7

    await asyncio.gather(*(client(n) for n in range(8)))
    return statuses


async def answers(get: Callable[[], Awaitable[int]]) -> bool:
    try:
        return await get() == 200
    except ClientError:
        return False


async def until_ready(service: Content) -> None:
    async with asyncio.timeout(3):
        while not await service.ready():  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)


@asynccontextmanager
async def content_process(
    issuer: Issuer,
) -> AsyncIterator[tuple[subprocess.Popen[bytes], int]]:
    """Run the service as a process of its own."""
    port, internal_port = free_ports(2)
    process = subprocess.Popen(  # noqa: ASYNC220 - it starts in no time
        [sys.executable, "-m", "content_service", "serve"],
        env={
            **os.environ,
            **issuer.settings(),
            "CONTENT_PORT": str(port),
            "CONTENT_INTERNAL_PORT": str(internal_port),
            "CONTENT_DRAIN_DELAY": "0",
        },
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process, port
    finally:
        process.terminate()
        assert await asyncio.to_thread(process.wait, 10) == 0
