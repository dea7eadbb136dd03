"""How content compares with its peers: ``python -m tests.bench.content_bench``.

Servers share one core and wrk has another. Runs are interleaved, and what counts is the
ratio within a round; two measures are printed: requests a second, and the processor
time of a request, which other work on the machine disturbs less.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from tests.support.issuer import Issuer
from tests.support.memory import pss_mib
from tests.support.ports import free_ports
from tests.support.processor import cpu_seconds
from tests.support.tokens import private_key

from service_kit.tokens import StatusList

_SERVER_CORE, _LOAD_CORE = "0", "1"
_CONNECTIONS: Final = "32"
_PATH: Final = "/api/test/user"
_BASE: Final = "empty handler"

_CONTENT: Final = "content"
_NOT_REMEMBERED: Final = "content, no memory"

_FIRST_CHECKS_A_SECOND: Final = 5_000
"""About what a core can do; tokens are to be sent once or a little oftener."""

_LUA: Final = """
local requests, at = {}, 0
function init(_)
  for token in io.lines("%s") do
    requests[#requests + 1] = wrk.format("GET", "%s", {["x-access-token"] = token})
  end
end
function request() at = at %% #requests + 1; return requests[at] end
"""


class Server(NamedTuple):
    """A server process and its port."""

    name: str
    process: subprocess.Popen[bytes]
    port: int

    def cpu_seconds(self) -> float:
        """Return the processor time it has used."""
        return cpu_seconds(self.process.pid)

    def pss_mib(self) -> float:
        """Return its share of memory."""
        return pss_mib(self.process.pid)


class Run(NamedTuple):
    """What one run of the load generator showed."""

    per_second: float
    cpu_microseconds: float


def load(server: Server, script: Path, seconds: int) -> Run:
    """Load a server for a while; any answer but 200 ends the measurement."""
    before = server.cpu_seconds()
    output = subprocess.run(
        [
            *("taskset", "-c", _LOAD_CORE, "wrk", "-t1", f"-c{_CONNECTIONS}"),
            *(f"-d{seconds}s", "-s", str(script)),
            f"http://127.0.0.1:{server.port}",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    used = server.cpu_seconds() - before
    if "Non-2xx" in output:
        raise SystemExit(f"{server.name} refused requests:\n{output}")
    requests = int(re.search(r"(\d+) requests in", output)[1])  # type: ignore[index]
    return Run(requests / seconds, used / requests * 1e6)


@contextlib.contextmanager
def serving(
    name: str, command: Sequence[str], environ: dict[str, str]
) -> Iterator[Server]:
    """Run a server on the servers' core."""
    port, internal_port = free_ports(2)
    process = subprocess.Popen(
        ["taskset", "-c", _SERVER_CORE, sys.executable, "-m", *command, str(port)]
        if command[-1] != "serve"
        else ["taskset", "-c", _SERVER_CORE, sys.executable, "-m", *command],
        env={
            **os.environ,
            **environ,
            "CONTENT_PORT": str(port),
            "CONTENT_INTERNAL_PORT": str(internal_port),
        },
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield Server(name, process, port)
    finally:
        process.terminate()
        process.wait(30)


def wait_for(server: Server, token: str) -> None:
    """Wait until a server answers 200."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}{_PATH}", headers={"x-access-token": token}
    )
    for _ in range(200):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(request).close()
            return
        time.sleep(0.1)
    raise SystemExit(f"{server.name} does not answer")


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
    listed = folder / f"tokens-{numbers.start}"
    listed.write_text("\n".join(tokens))
    script = folder / f"load-{numbers.start}.lua"
    script.write_text(_LUA % (listed, _PATH))
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
                stack.enter_context(serving(name, command, issuer.settings()))
                for name, command in {
                    _BASE: (peers, "empty"),
                    _CONTENT: ("content_service", "serve"),
                    _NOT_REMEMBERED: (peers, "forgetful"),
                    "FastAPI + PyJWT": (peers, "fastapi"),
                }.items()
            ]
            for server in servers:
                await asyncio.to_thread(wait_for, server, few.tokens[0])
                await asyncio.to_thread(load, server, few.script, seconds)
            runs: dict[str, list[Run]] = {server.name: [] for server in servers}
            for _ in range(rounds):
                for server in servers:
                    run = await asyncio.to_thread(load, server, few.script, seconds)
                    runs[server.name].append(run)
            report(runs)
            content = servers[1]
            print(f"content: PSS {content.pss_mib():.1f} MiB after {tokens} tokens")
            many = minted(range(tokens, tokens + distinct), folder)
            span = max(seconds, distinct // _FIRST_CHECKS_A_SECOND)
            run = await asyncio.to_thread(load, content, many.script, span)
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
