"""How fast identity is: ``python -m tests.bench.identity_bench``.

Signing in is compared with what the cores can do if they do nothing but bcrypt: all of
them at once, as they share caches and power, just before and just after, less what the
load takes of them. Light requests are timed from a process of their own, without load
and with it. Refreshing has identity on one core; MariaDB or MySQL, where one is
installed, and the load have the other.
"""

import asyncio
import itertools
import json
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
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
import bcrypt
from tests.bench.gateway_bench import say
from tests.support.database import create_database, running_server
from tests.support.processor import cpu_seconds
from tests.support.stack import Stack

_COST: Final = 12
_CHEAP: Final = 4
_BARE_HASHES: Final = 500
_SECONDS: Final = 20.0
_ROUNDS: Final = 3
_BARE_SECONDS: Final = 3.0
_WARM_UP_SECONDS: Final = 1.0
"""Until the first hashes are done and their clients come again."""

_SIGN_IN_CLIENTS: Final = 24
_REFRESH_CLIENTS: Final = 16
_CROWD: Final = 120
"""More than may be hashed and wait, so the rest are refused."""

_LONGEST_PAUSE: Final = 2.0
"""Seconds; clients come one by one, not all at the same moment."""

_IDENTITY_CORE, _OTHER_CORE = "0", "1"

Calls = Callable[[], Awaitable[None]]


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
        self.url = f"http://127.0.0.1:{stack.identity.port}"
        self.internal_url = f"http://127.0.0.1:{stack.identity.internal_port}"

    async def post(self, path: str, body: Mapping[str, object]) -> tuple[int, object]:
        async with self._http.post(self.url + path, json=body) as answer:
            return answer.status, await answer.json(content_type=None)

    async def account(self) -> dict[str, object]:
        name, password = f"bench-{secrets.token_hex(6)}", secrets.token_urlsafe(15)
        account = {"username": name, "password": password}
        await self.post("/api/auth/signup", {**account, "email": f"{name}@example.org"})
        return dict(account)


@asynccontextmanager
async def client_of(stack: Stack) -> AsyncIterator[Client]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http:
        yield Client(http, stack)


def bare_bcrypt_rate() -> float:
    """Return the hashes a second of all cores together, all of them busy at once."""
    cores = len(os.sched_getaffinity(0))

    def rate_of_one(_: int) -> float:
        started_at = time.monotonic()
        for hashes in itertools.count(1):
            bcrypt.hashpw(b"x" * 64, bcrypt.gensalt(_COST))
            took = time.monotonic() - started_at
            if took > _BARE_SECONDS:
                return hashes / took
        raise AssertionError

    with ThreadPoolExecutor(cores) as threads:
        return sum(threads.map(rate_of_one, range(cores)))


@dataclass(frozen=True)
class Light:
    """What light requests took, in seconds, and what asking them cost."""

    timings: Mapping[str, Sequence[float]]
    cpu_seconds: float


async def light_requests(urls: Mapping[str, str]) -> Light:
    """Time light requests from another process, for a while."""
    probe = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.light_probe", str(_SECONDS)),
        *urls.values(),
        stdout=subprocess.PIPE,
    )
    printed, _ = await probe.communicate()
    told = json.loads(printed)
    timings = {name: told["timings"][url] for name, url in urls.items()}
    return Light(timings, told["cpu_seconds"])


@asynccontextmanager
async def signing_in(
    client: Client, account: Mapping[str, object], statuses: Counter[int]
) -> AsyncIterator[None]:
    """Sign in all the time, since a little before; count the answers."""
    is_over = asyncio.Event()

    async def again() -> None:
        while not is_over.is_set():
            status, _ = await client.post("/api/auth/signin", account)
            statuses[status] += 1

    clients = [asyncio.create_task(again()) for _ in range(_SIGN_IN_CLIENTS)]
    await asyncio.sleep(_WARM_UP_SECONDS)
    try:
        yield
    finally:
        is_over.set()
        await asyncio.gather(*clients)


@dataclass(frozen=True)
class Round:
    """What was measured in one round."""

    statuses: Counter[int]
    rate: float
    possible: float
    idle: Light
    busy: Light


async def sign_in_round(
    client: Client, account: Mapping[str, object], urls: Mapping[str, str]
) -> Round:
    """Measure sign-ins, bare bcrypt before and after, and light requests throughout."""
    idle = await light_requests(urls)
    before = await asyncio.to_thread(bare_bcrypt_rate)
    statuses: Counter[int] = Counter()
    async with signing_in(client, account, statuses):
        counted, used = statuses[200], time.process_time()
        started_at = time.monotonic()
        busy = await light_requests(urls)
        took = time.monotonic() - started_at
        counted, used = statuses[200] - counted, time.process_time() - used
    after = await asyncio.to_thread(bare_bcrypt_rate)
    of_the_load = (used + busy.cpu_seconds) / took / len(os.sched_getaffinity(0))
    possible = (before + after) / 2 * (1 - of_the_load)
    return Round(statuses, counted / took, possible, idle, busy)


async def measure_sign_in(stack: Stack) -> None:
    """Print sign-ins as a share of what bcrypt allows, and how light requests fare.

    An idle process's ``/livez`` is timed as well: what it loses is the machine's doing.
    """
    async with client_of(stack) as client:
        account = await client.account()
        content = f"http://127.0.0.1:{stack.content.internal_port}"
        urls = {
            "/livez": f"{client.internal_url}/livez",
            "the JWKS": f"{client.url}/.well-known/jwks.json",
            "content's idle /livez": f"{content}/livez",
        }
        rounds = [await sign_in_round(client, account, urls) for _ in range(_ROUNDS)]
        for each in rounds:
            say(
                f"sign-in, bcrypt cost {_COST}: {each.rate:.2f}/s of "
                f"{each.possible:.2f}/s possible: {each.rate / each.possible:.1%}; "
                f"answers {dict(each.statuses)}"
            )
        for name in urls:
            idle = p99([s for each in rounds for s in each.idle.timings[name]])
            busy = p99([s for each in rounds for s in each.busy.timings[name]])
            say(
                f"  meanwhile {name}: p99 {busy:.2f} ms, idle {idle:.2f} ms: "
                f"{busy / idle:.1f} x"
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


async def measure_own_share(stack: Stack) -> None:
    """Print what a sign-in takes of the processor besides its hash, a cheap one here.

    Otherwise the hashes would push the rest out of the caches.
    """
    async with client_of(stack) as client:
        account = await client.account()

        async def sign_in() -> None:
            await client.post("/api/auth/signin", account)
            done.append(True)

        done: list[bool] = []
        pid = stack.identity.pid
        await repeat_for(_WARM_UP_SECONDS, [sign_in] * _REFRESH_CLIENTS)
        done.clear()
        before = cpu_seconds(pid)
        await repeat_for(_SECONDS, [sign_in] * _REFRESH_CLIENTS)
        each = (cpu_seconds(pid) - before) / len(done)
    started_at = time.thread_time()
    for _ in range(_BARE_HASHES):
        bcrypt.hashpw(b"x" * 64, bcrypt.gensalt(_CHEAP))
    bare = (time.thread_time() - started_at) / _BARE_HASHES
    say(
        f"sign-in, bcrypt cost {_CHEAP}: {each * 1000:.1f} ms of the processor, of"
        f" which bcrypt {bare * 1000:.1f}: its own share {(each - bare) * 1000:.1f} ms"
    )


def pinned(pid: int, core: str) -> None:
    """Keep a process, its threads included, on one core."""
    subprocess.run(
        ["taskset", "-a", "-cp", core, str(pid)], check=True, capture_output=True
    )


@contextmanager
def new_folder() -> Iterator[Path]:
    """Make a folder for as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="identity-bench-") as name:
        yield Path(name)


def main() -> None:
    """Measure and print."""
    settings = {"IDENTITY_THROTTLE": "off", "IDENTITY_BCRYPT_COST": str(_COST)}
    with new_folder() as folder, Stack(folder, settings) as stack:
        asyncio.run(measure_sign_in(stack))
    if not (shutil.which("mariadbd") or shutil.which("mysqld")):
        say("refresh: left out, no mariadbd or mysqld is installed")
        return
    with new_folder() as parent, running_server(parent) as server:
        assert server.process is not None
        settings |= {
            "IDENTITY_DATABASE_URL": asyncio.run(create_database(server.url)),
            "IDENTITY_BCRYPT_COST": str(_CHEAP),
        }
        with new_folder() as folder, Stack(folder, settings) as stack:
            pinned(stack.identity.pid, _IDENTITY_CORE)
            pinned(server.process.pid, _OTHER_CORE)
            pinned(os.getpid(), _OTHER_CORE)
            asyncio.run(measure_refresh(stack))
            asyncio.run(measure_own_share(stack))


if __name__ == "__main__":
    main()
