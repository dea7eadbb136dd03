"""What hostile clients do is not felt by one that behaves (docs/gateway.md)."""

import asyncio
import random
import ssl
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.faults.figures import tell
from tests.support.certificates import write_certificate
from tests.support.gateway_process import GatewayProcess, gateway_process
from tests.support.memory import pss_mib

P99_BOUND = 0.050
QUIET = 0.010
"""The p99 where nothing else runs; on a busier machine what a request takes says
nothing of the gateway."""
GROWTH_MIB = 64.0
"""60 hostile connections hold 640 KiB each at most, as docs/gateway.md counts it; the
rest is for what replicas send them."""

GET = b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n"
RATE = 40
"""Requests a second of the client that behaves."""


@asynccontextmanager
async def python(*arguments: str) -> AsyncIterator[asyncio.StreamReader]:
    """Run a module for the length of a block; yield what it writes."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *arguments), stdout=PIPE
    )
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        process.kill()
        await process.wait()


class Spell(NamedTuple):
    """How long each request took, in order of length, by two clocks."""

    wall: list[float]
    gateway: list[float]
    """The processor time of the gateway's event loop meanwhile.

    On a core of its own that is how long a request waited; here others share the core.
    """


def p99(durations: list[float]) -> float:
    return durations[int(0.99 * len(durations))]


def worked(process: Path) -> float:
    """Return for how many seconds a process's first thread has run."""
    return int((process / "schedstat").read_text().split()[0]) / 1e9


async def behave(
    gateway: GatewayProcess, seconds: float, context: ssl.SSLContext | None
) -> Spell:
    """Send one request after the other, every 20 of them on a new connection."""
    process = Path(f"/proc/{gateway.process.pid}")
    spell = Spell([], [])
    over_at = time.monotonic() + seconds
    while time.monotonic() < over_at:
        began_at, before = time.perf_counter(), worked(process)
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", gateway.port, ssl=context
        )
        for _ in range(20):
            writer.write(GET)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            assert await reader.readexactly(2) == b"ok"
            spell.wall.append(time.perf_counter() - began_at)
            spell.gateway.append(worked(process) - before)
            await asyncio.sleep(1 / RATE)
            began_at, before = time.perf_counter(), worked(process)
        writer.close()
    spell.wall.sort()
    spell.gateway.sort()
    return spell


def client_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


MINUTE = pytest.mark.timeout(120)
LONG = (pytest.mark.faults, pytest.mark.timeout(700))


@pytest.mark.parametrize(
    ("seconds", "is_secure"),
    [
        pytest.param(60, False, id="a minute", marks=MINUTE),
        pytest.param(
            60, True, id="a minute of TLS", marks=(pytest.mark.faults, MINUTE)
        ),
        pytest.param(600, False, id="ten minutes", marks=LONG),
        pytest.param(600, True, id="ten minutes of TLS", marks=LONG),
    ],
)
@pytest.mark.quiet
async def test_hostile_clients_are_not_felt_by_others(
    seconds: int, *, is_secure: bool, tmp_path: Path
) -> None:
    seed = str(random.SystemRandom().randrange(10**6))
    tell(f"seed {seed}")
    certificate, key = write_certificate(tmp_path, "gateway.test")
    tls = f'[tls]\ncertificate = "{certificate}"\nkey = "{key}"\n'
    async with (
        python("tests.support.answering") as answering,
        gateway_process(
            tmp_path,
            int(await answering.readline()),
            more_config=tls if is_secure else "",
        ) as gateway,
    ):
        context = client_context() if is_secure else None
        alone = await behave(gateway, 2, context)
        before = pss_mib(gateway.process.pid)
        async with python("tests.support.hostile_clients", str(gateway.port), seed):
            beside = await behave(gateway, seconds, context)
            growth = pss_mib(gateway.process.pid) - before
    tell(
        f"p99 {1e3 * p99(alone.wall):.1f} ms alone, {1e3 * p99(beside.wall):.1f} ms",
        f"of which the gateway worked {1e3 * p99(beside.gateway):.1f} ms",
        f"{growth:+.1f} MiB",
    )
    assert p99(beside.gateway) < P99_BOUND, f"seed {seed}"
    if p99(alone.wall) < QUIET:
        assert p99(beside.wall) < P99_BOUND, f"seed {seed}"
    assert growth < GROWTH_MIB, f"seed {seed}"
