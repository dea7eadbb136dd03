"""How content compares with its peers: ``python -m tests.bench.content_bench``.

Servers share one core and wrk has another. Runs are interleaved, and what counts is the
ratio within a round; two measures are printed: requests a second, and the processor
time of a request, which other work on the machine disturbs less.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from tests.bench.gateway_bench import (
    WORKS,
    Run,
    Server,
    load,
    running,
    write_script,
)
from tests.support.issuer import Issuer
from tests.support.ports import free_ports
from tests.support.tokens import private_key

from service_kit.tokens import StatusList

_WORK: Final = WORKS["small"]
_BASE: Final = "empty handler"

_CONTENT: Final = "content"
_NOT_REMEMBERED: Final = "content, no memory"

_FIRST_CHECKS_A_SECOND: Final = 5_000
"""About what a core can do; tokens are to be sent once or a little oftener."""


def serving(
    name: str, command: Sequence[str], token: str, environ: Mapping[str, str]
) -> contextlib.AbstractContextManager[Server]:
    """Run content or a peer of it.

    Enter it in another thread: it asks the issuer, which this one runs.
    """
    port, internal_port = free_ports(2)
    ports = {"CONTENT_PORT": str(port), "CONTENT_INTERNAL_PORT": str(internal_port)}
    program = [sys.executable, "-m", *command]
    return running(name, program, port, token=token, **environ, **ports)


class Minted(NamedTuple):
    """Tokens, and a script for the load generator that sends one after the other."""

    tokens: list[str]
    script: Path


def _token(expires_at: int, number: int) -> str:
    return Issuer().mint(number, exp=expires_at)


def minted(numbers: range, folder: Path) -> Minted:
    """Have all cores sign tokens; forked processes have the issuer's key already."""
    later = int(time.time()) + 10_000
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(mp_context=fork) as processes:
        tokens = list(processes.map(partial(_token, later), numbers, chunksize=500))
    script = write_script(folder / f"load-{numbers.start}", _WORK, tokens, {})
    return Minted(tokens, script)


async def measure(tokens: int, distinct: int, rounds: int, seconds: int) -> None:
    """Measure all servers in turn, and print how they compare."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        async with Issuer() as issuer:
            issuer.statuses = StatusList.of_size(1 << 20)
            issuer.ttl = timedelta(seconds=15)
            issuer.list_lifetime = timedelta(hours=3)
            private_key()
            few = minted(range(tokens), folder)
            peers = "tests.bench.content_peers"
            servers = [
                await asyncio.to_thread(
                    stack.enter_context,
                    serving(name, command, few.tokens[0], issuer.settings()),
                )
                for name, command in {
                    _BASE: (peers, "empty"),
                    _CONTENT: ("content_service", "serve"),
                    _NOT_REMEMBERED: (peers, "forgetful"),
                    "FastAPI + PyJWT": (peers, "fastapi"),
                }.items()
            ]
            for server in servers:
                await asyncio.to_thread(load, server, _WORK, few.script, seconds)
            runs: dict[str, list[Run]] = {server.name: [] for server in servers}
            for _ in range(rounds):
                for server in servers:
                    run = await asyncio.to_thread(
                        load, server, _WORK, few.script, seconds
                    )
                    runs[server.name].append(run)
            report(runs)
            content = servers[1]
            print(f"content: PSS {content.pss_mib():.1f} MiB after {tokens} tokens")
            many = minted(range(tokens, tokens + distinct), folder)
            span = max(seconds, distinct // _FIRST_CHECKS_A_SECOND)
            run = await asyncio.to_thread(load, content, _WORK, many.script, span)
            sent = min(distinct, int(run.per_second * span))
            print(f"content: PSS {content.pss_mib():.1f} MiB after {sent} others")


def report(runs: dict[str, list[Run]]) -> None:
    """Print medians, and ratios to the empty handler with their spread."""
    print(
        f"{'':20} {'req/s':>8} {'ratio':>6} {'spread':>11} {'CPU us':>7} {'ratio':>6}"
    )
    for name, mine in runs.items():
        rates = [
            a.per_second / b.per_second for a, b in zip(mine, runs[_BASE], strict=True)
        ]
        costs = [
            b.cpu_microseconds / a.cpu_microseconds
            for a, b in zip(mine, runs[_BASE], strict=True)
        ]
        print(
            f"{name:20} {statistics.median(r.per_second for r in mine):8.0f}"
            f" {statistics.median(rates):6.2f} {min(rates):5.2f}-{max(rates):5.2f}"
            f" {statistics.median(r.cpu_microseconds for r in mine):7.1f}"
            f" {statistics.median(costs):6.2f}"
        )

    first = [
        a.cpu_microseconds - b.cpu_microseconds
        for a, b in zip(runs[_NOT_REMEMBERED], runs[_CONTENT], strict=True)
    ]
    print(
        f"a token not seen before: {statistics.median(first):.0f} us more"
        f" ({min(first):.0f}-{max(first):.0f})"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=10_000)
    parser.add_argument("--distinct", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    chosen = parser.parse_args(arguments)
    asyncio.run(measure(chosen.tokens, chosen.distinct, chosen.rounds, chosen.seconds))


if __name__ == "__main__":
    main()
