"""Look-ups at mirrors that are good, slow, broken or hostile."""

import asyncio
import contextlib
import hashlib
import itertools
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from identity_service.security.breached_passwords import (
    _MOST_BYTES,
    _MOST_RANGES,
    BreachedPasswords,
    LookUp,
)

LEAKED = "an old favourite phrase"

Respond = Callable[[web.Request], Awaitable[web.StreamResponse]]


def digest_of(password: str) -> str:
    return hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()


def range_of(password: str, *, seen: int = 37) -> str:
    """Return a range with a password's suffix amid others', as the public API's."""
    others = [f"{n:035X}:{n}" for n in range(1, 900)]
    padding = [f"{n:035X}:0" for n in range(1000, 1100)]
    return "\r\n".join([*others, f"{digest_of(password)[5:]}:{seen}", *padding])


@dataclass
class Mirror:
    """A mirror that responds as a test has it."""

    respond: Respond
    url: str = ""
    requests: list[web.Request] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        return await self.respond(request)


@contextlib.asynccontextmanager
async def running(respond: Respond) -> AsyncIterator[Mirror]:
    mirror = Mirror(respond)
    app = web.Application()
    app.router.add_get("/range/{prefix}", mirror.handle)
    async with TestServer(app) as server:
        mirror.url = str(server.make_url("/range"))
        yield mirror


@contextlib.asynccontextmanager
async def asking(
    url: str, monotonic: Callable[[], float] = time.monotonic
) -> AsyncIterator[BreachedPasswords]:
    asked = BreachedPasswords(url, monotonic=monotonic)
    yield asked
    await asked.close()


async def good(_: web.Request) -> web.Response:
    return web.Response(text=range_of(LEAKED))


async def test_a_leaked_password_is_known() -> None:
    async with running(good) as mirror, asking(mirror.url) as asked:
        assert await asked.contain(LEAKED)
        assert not await asked.contain("one that nobody has lost")

    assert asked.outcomes == {LookUp.BREACHED: 1, LookUp.UNKNOWN: 1}


async def test_the_mirror_learns_five_digits_and_nothing_else() -> None:
    async with running(good) as mirror, asking(f"{mirror.url}/") as asked:
        await asked.contain(LEAKED)

    (request,) = mirror.requests
    assert request.path_qs == f"/range/{digest_of(LEAKED)[:5]}"
    assert request.headers["Add-Padding"] == "true"
    assert not request.can_read_body
    sent = f"{request.path_qs} {request.headers}"
    assert digest_of(LEAKED)[5:] not in sent.upper()
    assert LEAKED not in sent


async def test_the_same_characters_are_one_password_however_they_were_typed() -> None:
    async with running(lambda _: composed()) as mirror, asking(mirror.url) as asked:
        assert await asked.contain("un cafe\u0301 au lait")


async def composed() -> web.Response:
    return web.Response(text=range_of("un caf\u00e9 au lait"))


async def test_what_pads_a_range_is_no_password() -> None:
    async def respond(_: web.Request) -> web.Response:
        return web.Response(text=range_of(LEAKED, seen=0))

    async with running(respond) as mirror, asking(mirror.url) as asked:
        assert not await asked.contain(LEAKED)


async def test_mirrors_may_write_small_letters() -> None:
    async def respond(_: web.Request) -> web.Response:
        return web.Response(text=range_of(LEAKED).lower().replace("\r\n", "\n") + "\n")

    async with running(respond) as mirror, asking(mirror.url) as asked:
        assert await asked.contain(LEAKED)


async def elsewhere(request: web.Request) -> web.Response:
    raise web.HTTPFound(request.url.with_query("again=1"))


async def not_found(_: web.Request) -> web.Response:
    raise web.HTTPNotFound


async def broken(_: web.Request) -> web.Response:
    raise web.HTTPInternalServerError


async def garbage(_: web.Request) -> web.Response:
    return web.Response(text=f"<p>{range_of(LEAKED)}</p>")


async def binary(_: web.Request) -> web.Response:
    return web.Response(body=bytes(range(256)) * 100)


async def empty(_: web.Request) -> web.Response:
    return web.Response()


async def compressed(_: web.Request) -> web.Response:
    response = web.Response(text=range_of(LEAKED))
    response.enable_compression(web.ContentCoding.gzip)
    response.headers["Content-Encoding"] = "gzip"
    return response


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    line = f"{digest_of(LEAKED)[5:]}:1\r\n".encode() * 500
    with contextlib.suppress(ConnectionError):
        while True:
            await response.write(line)
    return response


async def cut_off(request: web.Request) -> web.StreamResponse:
    text = range_of(LEAKED)
    response = web.StreamResponse(headers={"Content-Length": str(len(text) + 1)})
    await response.prepare(request)
    await response.write(text.encode())
    assert request.transport is not None
    request.transport.close()
    return response


@pytest.mark.parametrize(
    "respond",
    [
        elsewhere,
        not_found,
        broken,
        garbage,
        binary,
        empty,
        compressed,
        endless,
        cut_off,
    ],
)
async def test_a_mirror_that_is_not_right_refuses_nothing(respond: Respond) -> None:
    async with running(respond) as mirror, asking(mirror.url) as asked:
        assert not await asked.contain(LEAKED)

    assert asked.outcomes == {LookUp.UNAVAILABLE: 1}
    assert len(mirror.requests) == 1


async def test_a_mirror_that_is_dead_refuses_nothing() -> None:
    async with asking(f"http://127.0.0.1:{unused_port()}/range") as asked:
        assert not await asked.contain(LEAKED)

    assert asked.outcomes == {LookUp.UNAVAILABLE: 1}


async def silent(_: web.Request) -> web.Response:
    await asyncio.sleep(20)
    return web.Response(text=range_of(LEAKED))


async def dripping(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        for character in range_of(LEAKED):
            await response.write(character.encode())
            await asyncio.sleep(0.05)
    return response


@pytest.mark.parametrize("respond", [silent, dripping])
async def test_a_slow_mirror_is_waited_for_a_second_and_then_left_alone(
    respond: Respond,
) -> None:
    async with running(respond) as mirror, asking(mirror.url) as asked:
        began_at = time.monotonic()
        assert not await asked.contain(LEAKED)
        first = time.monotonic() - began_at
        for n in range(100):
            assert not await asked.contain(f"{LEAKED} {n}")
        others = time.monotonic() - began_at - first

    assert 0.9 < first < 1.5
    assert others < 0.5
    assert len(mirror.requests) == 1
    assert asked.outcomes == {LookUp.UNAVAILABLE: 101}
    assert asked.fault == "no response in time"


async def test_a_range_that_comes_slowly_keeps_nobody_else_waiting() -> None:
    async def respond(request: web.Request) -> web.Response:
        if request.match_info["prefix"] == digest_of(LEAKED)[:5]:
            await asyncio.sleep(0.8)
        return web.Response(text=range_of(LEAKED))

    async with running(respond) as mirror, asking(mirror.url) as asked:
        slow = asyncio.create_task(asked.contain(LEAKED))
        await asyncio.sleep(0.05)
        began_at = time.monotonic()
        await asyncio.gather(*(asked.contain(f"another {n}") for n in range(8)))
        others = time.monotonic() - began_at
        assert not slow.done()
        assert await slow

    assert others < 0.5


async def test_many_at_once_wait_together_and_share_few_connections() -> None:
    async with running(silent) as mirror, asking(mirror.url) as asked:
        began_at = time.monotonic()
        await asyncio.gather(*(asked.contain(f"phrase {n}") for n in range(200)))
        lasted = time.monotonic() - began_at

    assert lasted < 2
    assert len(mirror.requests) <= 48  # 16 connections, each cut off after a second


async def test_a_mirror_that_is_back_is_asked_again() -> None:
    ahead = itertools.count(0, 2)
    responses: list[Respond] = [broken, good]

    async def respond(request: web.Request) -> web.StreamResponse:
        return await responses.pop(0)(request)

    async with (
        running(respond) as mirror,
        asking(mirror.url, lambda: float(next(ahead))) as asked,
    ):
        assert not await asked.contain(LEAKED)
        assert await asked.contain(LEAKED)


async def test_a_range_is_cached_for_an_hour() -> None:
    now = 1000.0
    async with running(good) as mirror, asking(mirror.url, lambda: now) as asked:
        assert await asked.contain(LEAKED)
        now += 3599
        assert await asked.contain(LEAKED)
        assert len(mirror.requests) == 1
        now += 2
        assert await asked.contain(LEAKED)

    assert len(mirror.requests) == 2
    assert asked.outcomes == {LookUp.BREACHED: 3}


async def test_the_cache_is_bounded() -> None:
    async with running(good) as mirror, asking(mirror.url) as asked:
        for n in range(_MOST_RANGES + 20):
            await asked.contain(f"phrase {n}")
        assert len(mirror.requests) == _MOST_RANGES + 20
        await asked.contain(f"phrase {_MOST_RANGES}")
        assert len(mirror.requests) == _MOST_RANGES + 20
        await asked.contain("phrase 0")
        assert len(mirror.requests) == _MOST_RANGES + 21

    assert _MOST_RANGES * _MOST_BYTES < 2**25


async def test_nothing_of_a_password_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with running(broken) as mirror, asking(mirror.url) as asked:
        caplog.clear()
        await asked.contain(LEAKED)

    ours = [each for each in caplog.records if each.name != "aiohttp.access"]
    written = [f"{each.getMessage()} {each.__dict__}" for each in ours]
    assert any("breached_passwords_away" in text for text in written)
    for text in written:
        assert digest_of(LEAKED)[:5] not in text.upper()
        assert LEAKED not in text


async def test_a_large_range_does_not_keep_the_loop() -> None:
    """Each of ten ranges takes the loop some 4 ms; what is long is the collector's."""
    text = "\r\n".join(f"{n:035X}:{n}" for n in range(6000))

    async def respond(_: web.Request) -> web.Response:
        return web.Response(text=text)

    steps: list[float] = []

    async def watch() -> None:
        while True:
            computed = time.thread_time()
            await asyncio.sleep(0)
            steps.append(time.thread_time() - computed)

    async with running(respond) as mirror, asking(mirror.url) as asked:
        watcher = asyncio.create_task(watch())
        for n in range(10):
            await asked.contain(f"phrase {n}")
        watcher.cancel()

    assert asked.outcomes == {LookUp.UNKNOWN: 10}
    assert sorted(steps)[-5] < 0.03
