"""How fast identity is: ``python -m tests.bench.identity_bench``.

Signing in is compared with what the cores could do if they did nothing but bcrypt, and
light requests are timed meanwhile. Refreshing has identity on one core; MariaDB or
MySQL, where one is installed, and the load have the other.
"""

import asyncio
import itertools
import os
import random
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp
import bcrypt
from tests.support.database import running_server
from tests.support.stack import Stack

_COST: Final = 12
_SECONDS: Final = 20.0
_SIGN_IN_CLIENTS: Final = 24
_REFRESH_CLIENTS: Final = 16
_CROWD: Final = 120
"""More than may be hashed and wait, so the rest are refused."""

_LONGEST_PAUSE: Final = 2.0
"""Seconds; clients come one by one, not all at the same moment."""

_PROBE_PAUSE: Final = 0.05
_IDENTITY_CORE, _OTHER_CORE = "0", "1"

Calls = Callable[[], Awaitable[None]]


def say(text: str) -> None:
    """Tell the person who measures."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def p99(values: Sequence[float]) -> float:
    """Return the 99th percentile, in milliseconds."""
    return statistics.quantiles(values, n=100)[98] * 1000


async def repeat_for(seconds: float, calls: Sequence[Calls]) -> float:
    """Make each call again and again, side by side; return the seconds it took."""
    started_at = time.monotonic()

    async def again(call: Calls) -> None:
        while time.monotonic() - started_at < seconds:
            await call()

    await asyncio.gather(*map(again, calls))
    return time.monotonic() - started_at


class Client:
    """Talks to identity itself, without the gateway."""

    def __init__(self, http: aiohttp.ClientSession, stack: Stack) -> None:
        self._http = http
        self.url = f"http://127.0.0.1:{stack.environment['IDENTITY_PORT']}"
        self.internal_url = stack.internal_urls["identity"]

    async def post(self, path: str, body: Mapping[str, object]) -> tuple[int, object]:
        async with self._http.post(self.url + path, json=body) as answer:
            return answer.status, await answer.json(content_type=None)

    async def account(self) -> dict[str, object]:
        name, password = f"bench-{secrets.token_hex(6)}", secrets.token_urlsafe(15)
        account = {"username": name, "password": password}
        await self.post("/api/auth/signup", {**account, "email": f"{name}@example.org"})
        return dict(account)

    async def light_requests(self, seconds: float) -> dict[str, list[float]]:
        """Time liveness and the JWKS, one after the other, for a while."""
        urls = (f"{self.internal_url}/livez", f"{self.url}/.well-known/jwks.json")
        timings: dict[str, list[float]] = {url.rpartition("/")[2]: [] for url in urls}

        async def once() -> None:
            for url in urls:
                started_at = time.monotonic()
                async with self._http.get(url) as answer:
                    await answer.read()
                timings[url.rpartition("/")[2]].append(time.monotonic() - started_at)
            await asyncio.sleep(_PROBE_PAUSE)

        await repeat_for(seconds, [once])
        return timings


@asynccontextmanager
async def client_of(stack: Stack) -> AsyncIterator[Client]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http:
        yield Client(http, stack)


def bcrypt_seconds() -> float:
    """Return the time of one hash on one idle core."""
    timings = []
    for _ in range(5):
        started_at = time.monotonic()
        bcrypt.hashpw(b"x" * 64, bcrypt.gensalt(_COST))
        timings.append(time.monotonic() - started_at)
    return statistics.median(timings)


async def measure_sign_in(stack: Stack) -> None:
    """Print the rate of sign-ins as a share of what bcrypt allows.

    The load runs on the same cores, so what it used of them is not counted as theirs.
    """
    cores = len(os.sched_getaffinity(0))
    hash_seconds = bcrypt_seconds()
    async with client_of(stack) as client:
        account = await client.account()
        idle = await client.light_requests(_SECONDS)
        statuses: Counter[int] = Counter()

        over_at = time.monotonic() + _SECONDS

        async def sign_in() -> None:
            status, _ = await client.post("/api/auth/signin", account)
            # At the end some cores have nothing more to do: that is not counted.
            statuses[status] += time.monotonic() < over_at

        used_before = time.process_time()
        light, _ = await asyncio.gather(
            client.light_requests(_SECONDS),
            repeat_for(_SECONDS, [sign_in] * _SIGN_IN_CLIENTS),
        )
        used = time.process_time() - used_before
        rate = statuses[200] / _SECONDS
        ideal = (cores - used / _SECONDS) / hash_seconds
        say(
            f"sign-in, bcrypt cost {_COST}: {rate:.2f}/s of {ideal:.2f}/s possible on "
            f"{cores} cores but for {used:.1f} s of the load's: {rate / ideal:.1%}; "
            f"answers {dict(statuses)}"
        )
        for name, timings in light.items():
            say(
                f"  meanwhile {name}: p99 {p99(timings):.1f} ms, "
                f"idle {p99(idle[name]):.1f} ms: {p99(timings) / p99(idle[name]):.1f} x"
            )
        await measure_full_queue(client, account)


async def measure_full_queue(client: Client, account: Mapping[str, object]) -> None:
    """Print how fast a full queue says so, to those who come while it is full."""
    refused: list[float] = []

    async def sign_in() -> None:
        await asyncio.sleep(random.uniform(0, _LONGEST_PAUSE))  # noqa: S311
        started_at = time.monotonic()
        status, _ = await client.post("/api/auth/signin", account)
        if status == 503:
            refused.append(time.monotonic() - started_at)

    await repeat_for(_SECONDS / 2, [sign_in] * _CROWD)
    say(
        f"{_CROWD} clients sign in all the time: {len(refused)} refused with 503, "
        f"median {statistics.median(refused) * 1000:.1f} ms, p99 {p99(refused):.0f} ms"
    )


async def measure_refresh(stack: Stack) -> None:
    """Print refreshes a second."""
    async with client_of(stack) as client:
        tokens = []
        for _ in range(_REFRESH_CLIENTS):
            _, answer = await client.post("/api/auth/signin", await client.account())
            assert isinstance(answer, dict)
            tokens.append(answer["refreshToken"])
        statuses: Counter[int] = Counter()

        def refresher(place: int) -> Calls:
            async def refresh() -> None:
                body = {"refreshToken": tokens[place]}
                status, answer = await client.post("/api/auth/refreshtoken", body)
                statuses[status] += 1
                assert isinstance(answer, dict)
                tokens[place] = answer.get("refreshToken", tokens[place])

            return refresh

        calls = [refresher(place) for place in range(_REFRESH_CLIENTS)]
        took = await repeat_for(_SECONDS, calls)
        rates = {status: count / took for status, count in statuses.items()}
        say("refresh: " + ", ".join(f"{s}: {r:.0f}/s" for s, r in rates.items()))


def pinned(pid: int, core: str) -> None:
    """Keep a process, its threads included, on one core."""
    subprocess.run(
        ["taskset", "-a", "-cp", core, str(pid)], check=True, capture_output=True
    )


def main() -> None:
    """Measure and print."""
    settings = {"IDENTITY_THROTTLE": "off", "IDENTITY_BCRYPT_COST": str(_COST)}
    counter = itertools.count()

    def folder(parent: str) -> Path:
        path = Path(parent) / str(next(counter))
        path.mkdir()
        return path

    with tempfile.TemporaryDirectory(prefix="identity-bench-") as parent:
        with Stack(folder(parent), settings) as stack:
            asyncio.run(measure_sign_in(stack))
        if not (shutil.which("mariadbd") or shutil.which("mysqld")):
            say("refresh: left out, no mariadbd or mysqld is installed")
            return
        with running_server(folder(parent)) as server:
            assert server.process is not None
            url = server.url.set(database="mysql").render_as_string(hide_password=False)
            settings |= {
                "IDENTITY_DATABASE_URL": url.replace("/mysql", "/bench"),
                "IDENTITY_BCRYPT_COST": "4",
            }
            subprocess.run(
                [
                    *("mariadb", "--no-defaults", "-uroot", f"-p{server.url.password}"),
                    *("-h127.0.0.1", f"-P{server.port}"),
                    *("-e", "CREATE DATABASE bench CHARACTER SET utf8mb4"),
                ],
                check=True,
                capture_output=True,
            )
            with Stack(folder(parent), settings) as stack:
                pinned(stack.pid("identity"), _IDENTITY_CORE)
                pinned(server.process.pid, _OTHER_CORE)
                pinned(os.getpid(), _OTHER_CORE)
                asyncio.run(measure_refresh(stack))


if __name__ == "__main__":
    main()
