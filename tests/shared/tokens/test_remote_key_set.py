"""Keys fetched from an issuer that is away, broken, hostile or changing."""

import asyncio
import contextlib
import hashlib
import json
import os
import resource
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from tests.support.issuer import Issuer, keys_answer, text_answer
from tests.support.tokens import AUDIENCE, ISSUER, mint, public_half
from tests.support.waiting import until

from service_kit.auth import verify_one
from service_kit.requests.credentials import Credentials, CredentialsSource
from service_kit.tokens import (
    CopiesOnDisk,
    InvalidTokenError,
    KeysUnavailableError,
    RemoteKeySet,
    TokenVerifier,
    public_jwk,
)

KID = public_half().kid


@contextlib.asynccontextmanager
async def remote(
    issuer: Issuer, copies: CopiesOnDisk | None = None
) -> AsyncIterator[RemoteKeySet]:
    async with (
        ClientSession() as session,
        RemoteKeySet(issuer.jwks_url, session, copies=copies) as keys,
    ):
        yield keys


async def test_keys_are_fetched_once_and_then_known(issuer: Issuer) -> None:
    async with remote(issuer) as keys:
        for _ in range(100):
            assert await keys.fetch(KID) == public_half()

    assert issuer.jwks_requests == 1


async def test_known_key_stays_the_same_object_through_a_refresh(
    issuer: Issuer,
) -> None:
    async with remote(issuer) as keys:
        before = await keys.fetch(KID)
        issuer.keys = ["first", "second"]
        assert await keys.fetch(public_half("second").kid) is not None

        assert await keys.fetch(KID) is before


async def test_new_key_is_accepted_at_its_first_use(issuer: Issuer) -> None:
    async with remote(issuer) as keys:
        await keys.fetch(KID)
        issuer.keys = ["second"]

        assert await keys.fetch(public_half("second").kid) == public_half("second")
        assert await keys.fetch(KID) is None


async def test_keys_arrive_within_two_seconds_of_their_issuer(
    issuer: Issuer,
) -> None:
    await issuer.stop()
    async with remote(issuer) as keys:
        with pytest.raises(KeysUnavailableError):
            await keys.fetch(KID)
        assert keys.fault() is not None
        await asyncio.sleep(0.8)

        await issuer.start()
        assert await until(lambda: len(keys) == 1) < 2
        assert await keys.fetch(KID)
        assert keys.fault() is None


async def test_keys_serve_on_while_the_issuer_is_away(issuer: Issuer) -> None:
    async with remote(issuer) as keys:
        await keys.fetch(KID)
        await issuer.stop()
        with contextlib.suppress(KeysUnavailableError):
            await keys.fetch("unknown")

        for _ in range(100):
            assert await keys.fetch(KID) == public_half()


def _attackers_set() -> str:
    """Return a good set, but for whose keys are in it."""
    evil = {**public_jwk(public_half("evil")), "kid": "brand-new"}
    return json.dumps({"keys": [evil]})


async def _redirect(request: web.Request) -> web.StreamResponse:
    if "again" in request.query:
        return web.Response(text=_attackers_set())
    raise web.HTTPFound("?again")


async def _bomb(_: web.Request) -> web.StreamResponse:
    return web.Response(text=_attackers_set(), headers={"Content-Encoding": "gzip"})


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        for _ in range(50):
            await response.write(bytes(1 << 20))
    return response


async def _truncated(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"keys":[')
    assert request.transport is not None
    request.transport.close()
    return response


BROKEN = [
    pytest.param(text_answer("no", status=500), id="500"),
    pytest.param(_redirect, id="302"),
    pytest.param(text_answer("<html>welcome</html>"), id="html"),
    pytest.param(text_answer(""), id="nothing"),
    pytest.param(keys_answer(), id="no-keys"),
    pytest.param(_endless, id="50-MB"),
    pytest.param(text_answer("[" * 100_000), id="deep-nest"),
    pytest.param(_bomb, id="compressed"),
    pytest.param(_truncated, id="truncated"),
    pytest.param(
        keys_answer(*({"kty": "oct", "kid": str(n)} for n in range(5000))),
        id="thousands-of-keys",
    ),
    pytest.param(keys_answer({"kty": "oct", "k": "AA", "kid": KID}), id="oct"),
    pytest.param(
        keys_answer(
            public_jwk(public_half()),
            {**public_jwk(public_half("evil")), "kid": KID},
        ),
        id="our-kid-twice",
    ),
]


@pytest.mark.parametrize("answer", BROKEN)
async def test_broken_answer_replaces_nothing(issuer: Issuer, answer: Any) -> None:  # noqa: ANN401
    async with remote(issuer) as keys:
        verifier = TokenVerifier(keys, issuer=ISSUER, audience=AUDIENCE)
        assert await keys.fetch(KID)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        issuer.answer_jwks = answer
        forged = mint(key="evil", header={"kid": "brand-new"})
        with pytest.raises((InvalidTokenError, KeysUnavailableError)):
            await verifier.verify(forged)
        with pytest.raises(InvalidTokenError):
            await verifier.verify(mint(key="evil", header={"kid": KID}))

        assert (await verifier.verify(mint())).subject == "42"
        assert keys.failures >= 1
        grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown_kib < 32 * 1024


@pytest.mark.quiet
async def test_slow_issuer_holds_no_request_for_long(issuer: Issuer) -> None:
    async def slow(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(30)
        return web.Response()

    async with remote(issuer) as keys:
        await keys.fetch(KID)
        issuer.answer_jwks = slow

        began_at = time.monotonic()
        await asyncio.gather(*(keys.fetch(f"unknown {n}") for n in range(50)))
        assert time.monotonic() - began_at < 1
        assert await keys.fetch(KID)


async def test_concurrent_first_uses_share_one_fetch(issuer: Issuer) -> None:
    async with remote(issuer) as keys:
        await asyncio.gather(*(keys.fetch(KID) for _ in range(200)))

    assert issuer.jwks_requests == 1


@pytest.mark.quiet
async def test_flood_of_made_up_kids_costs_few_fetches_and_hides_no_new_key(
    issuer: Issuer,
) -> None:
    async with remote(issuer) as keys:
        await keys.fetch(KID)
        flooding = True

        async def flood() -> None:
            while flooding:
                await keys.fetch(secrets.token_hex(8))
                await asyncio.sleep(0)

        began_at = time.monotonic()
        flooders = [asyncio.create_task(flood()) for _ in range(50)]
        await asyncio.sleep(2.5)
        issuer.keys = ["first", "second"]
        first_used_at = time.monotonic()
        while await keys.fetch(public_half("second").kid) is None:
            assert time.monotonic() - first_used_at < 2
            assert await keys.fetch(KID)
            await asyncio.sleep(0.01)
        assert time.monotonic() - first_used_at < 2
        flooding = False
        await asyncio.gather(*flooders)

        flooded_for = time.monotonic() - began_at
        assert issuer.jwks_requests <= 1 + 3 + flooded_for / 1.5


async def test_unknown_kid_is_not_sought_again_and_again(issuer: Issuer) -> None:
    async with remote(issuer) as keys:
        await keys.fetch(KID)
        began_at = time.monotonic()
        while time.monotonic() - began_at < 2.5:
            assert await keys.fetch("retired") is None
            await asyncio.sleep(0.01)

    assert issuer.jwks_requests <= 3


@pytest.mark.parametrize(
    ("directive", "seconds"),
    [
        pytest.param("public, max-age=20", 20, id="followed"),
        pytest.param("max-age=0", 5, id="not-too-often"),
        pytest.param("max-age=86400", 60, id="not-too-seldom"),
        pytest.param("no-store", 60, id="absent"),
        pytest.param("s-maxage=7", 60, id="of-shared-caches"),
    ],
)
async def test_refresh_follows_the_cache_header_within_bounds(
    issuer: Issuer, directive: str, seconds: int
) -> None:
    body = json.dumps({"keys": [public_jwk(public_half())]})
    issuer.answer_jwks = text_answer(body, headers={"Cache-Control": directive})
    async with ClientSession() as session:
        keys = RemoteKeySet(issuer.jwks_url, session)

        assert (await keys.refresh()).total_seconds() == seconds


async def test_keys_grow_no_younger_by_a_set_that_is_refused(issuer: Issuer) -> None:
    async with ClientSession() as session:
        keys = RemoteKeySet(issuer.jwks_url, session)
        await keys.refresh()
        issuer.answer_jwks = text_answer("{}")
        await asyncio.sleep(0.2)
        with pytest.raises(ValueError, match=r"."):
            await keys.refresh()

        assert keys.age is not None
        assert keys.age.total_seconds() >= 0.2


@pytest.mark.quiet
async def test_all_tokens_of_a_request_wait_no_longer_than_one(issuer: Issuer) -> None:
    async def slow(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(4)
        return web.Response()

    async with remote(issuer) as keys:
        await keys.fetch(KID)
        issuer.answer_jwks = slow
        verifier = TokenVerifier(keys, issuer=ISSUER, audience=AUDIENCE)
        made_up = [mint(header={"kid": f"made-up-{n}"}) for n in range(7)]
        cookies = Credentials((*made_up, mint()), CredentialsSource.COOKIE)

        began_at = time.monotonic()
        assert (await verify_one(verifier.verify, cookies)).subject == "42"
        assert time.monotonic() - began_at < 2


async def test_copy_on_disk_serves_a_cold_start(issuer: Issuer, tmp_path: Path) -> None:
    copies = CopiesOnDisk(tmp_path / "copies")
    async with remote(issuer, copies) as keys:
        await keys.fetch(KID)
        await until(lambda: any((tmp_path / "copies").glob("*")))
    await issuer.stop()

    async with remote(issuer, copies) as keys:
        assert await keys.fetch(KID) == public_half()


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda file: file.write_bytes(b"{}"), id="spoilt"),
        pytest.param(lambda file: file.chmod(0o666), id="writable-by-others"),
        pytest.param(lambda file: os.utime(file, (0, 0)), id="too-old"),
        pytest.param(lambda file: os.utime(file, (4e9, 4e9)), id="from-the-future"),
        pytest.param(
            lambda file: os.utime(file, (0, time.time() + 3600)), id="an-hour-ahead"
        ),
        pytest.param(lambda file: file.unlink(), id="gone"),
    ],
)
async def test_copy_that_cannot_be_trusted_is_not_used(
    issuer: Issuer,
    tmp_path: Path,
    spoil: Any,  # noqa: ANN401
) -> None:
    copies = CopiesOnDisk(tmp_path)
    document = json.dumps({"keys": [public_jwk(public_half())]})
    copies.save(issuer.jwks_url, document.encode())
    await copies.saved()
    await issuer.stop()
    spoil(next(tmp_path.iterdir()))  # noqa: ASYNC240 - a test may block

    async with remote(issuer, copies) as keys:
        with pytest.raises(KeysUnavailableError):
            await keys.fetch(KID)


async def test_copy_stays_young_while_the_issuer_confirms_the_keys(
    issuer: Issuer, tmp_path: Path
) -> None:
    async def unchanged(_: web.Request) -> web.StreamResponse:
        return issuer.apply(web.Response(status=304))

    issuer.pushes, issuer.answer_wait = True, unchanged
    copy = tmp_path / hashlib.sha256(issuer.jwks_url.encode()).hexdigest()
    async with remote(issuer, CopiesOnDisk(tmp_path)):
        await until(copy.exists)
        os.utime(copy, (0, 0))

        await until(lambda: copy.stat().st_mtime > 0)


async def test_full_disk_is_no_failure(issuer: Issuer, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    async with remote(issuer, CopiesOnDisk(tmp_path / "file")) as keys:
        assert await keys.fetch(KID)
        assert keys.failures == 0
