"""Content whose JWKS is broken, slow or hostile, or asked for in vain."""

import asyncio
import contextlib
import gzip
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from aiohttp import ClientSession, web
from tests.faults.figures import BOTH, SHORT, Figures, tell
from tests.support.cluster import Process
from tests.support.issuer import Answer, Issuer, keys_answer, text_answer
from tests.support.load import Load, Plan, Report
from tests.support.tokens import mint, private_key
from tests.support.waiting import until

MIB: Final = 1 << 20
PATH: Final = "/api/test/user"
GETS: Final = [(PATH, "User Content.")]


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    private_key("second")
    async with Issuer() as issuer:
        yield issuer


@pytest.fixture
async def content(issuer: Issuer, tmp_path: Path) -> AsyncIterator[Process]:
    process = Process("content", tmp_path / "content.log", issuer.settings())
    process.start()
    try:
        await asyncio.to_thread(process.until_ready)
        yield process
    finally:
        process.end()


@contextlib.asynccontextmanager
async def loaded(plan: Plan) -> AsyncIterator[Load]:
    load = await asyncio.to_thread(Load, plan)
    try:
        yield load
    finally:
        load.end()


async def report_of(load: Load) -> Report:
    return await asyncio.to_thread(load.report)


@contextlib.asynccontextmanager
async def canary() -> AsyncIterator[tuple[int, list[int]]]:
    """Listen where nobody should come; yield the port, and who came."""
    came: list[int] = []

    def on_connection(_: object, writer: asyncio.StreamWriter) -> None:
        came.append(1)
        writer.close()

    async with await asyncio.start_server(on_connection, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], came


async def drip(request: web.Request) -> web.StreamResponse:
    """Answer a byte at a time, without an end."""
    response = web.StreamResponse()
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.05)
    return response


def late(answer: Answer) -> Answer:
    async def wait_first(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(5)
        return await answer(request)

    return wait_first


def bomb() -> Answer:
    body = gzip.compress(bytes(200 * MIB))

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, headers={"Content-Encoding": "gzip"})

    return answer


async def next_fetch(issuer: Issuer) -> int:
    """Wait until the JWKS is asked for; return how often it had been before."""
    before = issuer.jwks_requests
    await until(lambda: issuer.jwks_requests > before, seconds=12)
    return before


async def ask_for_unknown_keys(port: int) -> None:
    """Make content look at the JWKS again and again."""
    async with ClientSession() as http:
        for number in range(10_000):
            headers = {"x-access-token": mint(header={"kid": f"made up {number}"})}
            url = f"http://127.0.0.1:{port}{PATH}"
            async with http.get(url, headers=headers) as answer:
                assert answer.status in {401, 503}
            await asyncio.sleep(0.2)


@pytest.mark.parametrize("figures", BOTH)
async def test_nothing_the_jwks_may_answer_fails_a_request(
    issuer: Issuer, content: Process, figures: Figures
) -> None:
    good, issuer.max_age = issuer.answer_jwks, 5
    plan = Plan(ports=[content.port], token=issuer.mint(), gets=GETS, rate=figures.rate)
    seen: dict[str, tuple[int, int]] = {}
    async with canary() as (port, came), loaded(plan) as load:
        answers = {
            "error": text_answer("no", status=500),
            "redirect": text_answer(
                "", status=302, headers={"Location": f"http://127.0.0.1:{port}/"}
            ),
            "html": text_answer("<html></html>"),
            "empty": text_answer(""),
            "no keys": keys_answer(),
            "50 MB": text_answer("x" * 50 * MIB),
            "deep": text_answer('{"keys":' + "[" * 200_000),
            "bomb": bomb(),
        }
        if figures is not SHORT:  # each takes five seconds to be given up
            answers |= {"drip": drip, "late": late(good)}
        asking = asyncio.create_task(ask_for_unknown_keys(content.port))
        await asyncio.sleep(figures.warm)
        before = largest = content.resident
        for name, answer in answers.items():
            issuer.answer_jwks = answer
            asked = await next_fetch(issuer)
            await asyncio.sleep(figures.fault / 8)
            largest = max(largest, content.resident)
            seen[name] = (issuer.jwks_requests - asked, (largest - before) // MIB)
            # Content looks sooner if it is not tired of failures.
            issuer.answer_jwks = good
            await next_fetch(issuer)
        for _ in range(int(figures.fault / 2)):
            await issuer.stop()
            await asyncio.sleep(1)
            await issuer.start()
            await asyncio.sleep(1)
        assert not asking.done(), "unknown keys get 401 or 503"
        asking.cancel()
        report = await report_of(load)

    tell(report, f"grew by {(largest - before) / MIB:.1f} MiB", seen)
    assert not report.failed, report
    assert report.percentile(0.99) < 0.05
    assert largest - before < 32 * MIB
    assert not came


@pytest.mark.parametrize("figures", BOTH)
async def test_flood_of_unknown_kids_delays_no_valid_token(
    issuer: Issuer, content: Process, figures: Figures
) -> None:
    plan = Plan(ports=[content.port], token=issuer.mint(), gets=GETS, rate=100)
    flood = Plan(
        ports=[content.port],
        unknown_kids=True,
        gets=GETS,
        rate=5 * figures.rate,
        clients=int(figures.rate / 2),
    )
    async with loaded(plan) as load:
        await asyncio.sleep(figures.fault)
        baseline = await report_of(load)
    asked, began_at = issuer.jwks_requests, time.monotonic()
    async with loaded(plan) as load, loaded(flood) as flooding:
        await asyncio.sleep(figures.fault / 2)
        issuer.keys = ["first", "second"]
        accepted_after = await until_accepted(content.port, issuer.mint(key="second"))
        await asyncio.sleep(figures.fault / 2)
        lasted, fetches = time.monotonic() - began_at, issuer.jwks_requests - asked
        report, flooded = await report_of(load), await report_of(flooding)

    tell(
        f"before: {baseline} | meanwhile: {report} | flood: {flooded}",
        f"{fetches} fetches in {lasted:.1f} s, new key after {accepted_after:.2f} s",
    )
    assert set(flooded.failed) == {"status 401"}
    assert flooded.failed.total() > figures.rate * figures.fault
    assert not report.failed, report
    # Below 5 ms it is the machine that is measured.
    assert report.percentile(0.99) < max(2 * baseline.percentile(0.99), 0.005)
    assert fetches <= 3 + lasted / 1.5 + 1
    assert accepted_after < 2


async def until_accepted(port: int, token: str) -> float:
    """Return how long a token was refused, from its first use on."""
    began_at = time.monotonic()
    async with ClientSession(headers={"x-access-token": token}) as http:
        while True:
            async with http.get(f"http://127.0.0.1:{port}{PATH}") as answer:
                if answer.status == 200:
                    return time.monotonic() - began_at
            assert time.monotonic() - began_at < 10
