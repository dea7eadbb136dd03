"""Closed-loop load from a process of its own, so that it waits for nobody's loop.

`running_load(plan)` starts it and yields its handle; `report()` ends it and returns
every request that was made: when, how long, and how it ended. Moments are those of the
monotonic clock, which all processes of a machine share.
"""

import asyncio
import contextlib
import itertools
import json
import secrets
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import uvloop
from tests.support.tokens import as_json, b64

OK: Final = "ok"
_REFUSED: Final = ConnectionRefusedError.__name__
_ROOT: Final = Path(__file__).parents[2]
_END_SECONDS: Final = 60
_LEFT_SECONDS: Final = 2
"""An access token with less left of its life is not used any more."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is asked, how often, and what must be answered."""

    ports: list[int]
    """Where gateways listen; a client whose gateway refuses it goes to the next one."""
    token: str = ""
    unknown_kids: bool = False
    """Whether each request, instead, names a signing key that nobody has."""
    gets: list[tuple[str, str]] = field(
        default_factory=lambda: [
            ("/api/test/all", "Public Content."),
            ("/api/test/user", "User Content."),
        ]
    )
    """Paths that are asked in turn, and what an answer, whose status is 200, holds.

    They differ, so an answer to another request is seen.
    """
    clients: int = 20
    rate: float = 100.0
    """Requests a second, of all clients together."""
    timeout: float = 5.0
    ends_when_refused: bool = False
    """Whether a client is content to find nobody who accepts a connection."""
    users: list[tuple[str, str]] = field(default_factory=list)
    """Names and passwords: where there are any, each client signs in and refreshes."""
    reads: bool = False
    """Whether such a client also uses its access tokens, the newest and the oldest."""


class Request(NamedTuple):
    """One request, as the client saw it."""

    began_at: float
    seconds: float
    outcome: str
    """``ok``, or what was wrong."""


@dataclass(frozen=True)
class Report:
    """What became of all requests."""

    requests: list[Request]

    def between(self, begin: float, end: float) -> "Report":
        """Return the part that began in a span of time."""
        return Report([r for r in self.requests if begin <= r.began_at < end])

    @property
    def failed(self) -> Counter[str]:
        """How many requests ended otherwise than expected, by how."""
        return Counter(r.outcome for r in self.requests if r.outcome != OK)

    @property
    def ok(self) -> int:
        return len(self.requests) - self.failed.total()

    def percentile(self, share: float) -> float:
        """Return the duration that so many requests did not exceed."""
        durations = sorted(r.seconds for r in self.requests)
        return durations[min(len(durations) - 1, int(share * len(durations)))]

    def __str__(self) -> str:
        if not self.requests:
            return "no requests"
        p50, p99, longest = (1e3 * self.percentile(share) for share in (0.5, 0.99, 1))
        return (
            f"{self.ok} ok, {self.failed.total()} failed {dict(self.failed)}, "
            f"p50 {p50:.0f} ms, p99 {p99:.0f} ms, max {longest:.0f} ms"
        )


class Load:
    """Load that runs."""

    def __init__(self, plan: Plan) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.load", json.dumps(asdict(plan))],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"begun\n"

    def report(self) -> Report:
        """End the load, once what is in flight is answered, and return its record."""
        written, _ = self._process.communicate(timeout=_END_SECONDS)
        return Report([Request(*each) for each in json.loads(written)])

    def end(self) -> None:
        """End it if it runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


@contextlib.contextmanager
def running_load(plan: Plan) -> Iterator[Load]:
    """Run load for the length of a block, or until its report is asked for."""
    load = Load(plan)
    try:
        yield load
    finally:
        load.end()


Step = Callable[[], Awaitable[None]]
"""One request, which raises what it was refused with."""


class UnexpectedError(Exception):
    """An answer that is not the expected one; the text says what was wrong."""


class Client:
    """One keep-alive connection, opened again only when the server says so or fails."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def get(self, path: str, expected: str, token: str) -> None:
        """Ask for a path."""
        if await self._ask(f"GET {path}", token=token) != expected.encode():
            raise UnexpectedError("another body")

    async def post(self, path: str, members: dict[str, str]) -> dict[str, Any]:
        """Send members as JSON and return the answer's."""
        body = await self._ask(f"POST {path}", body=json.dumps(members).encode())
        answer: dict[str, Any] = json.loads(body)
        return answer

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for port in self._plan.ports:
            with contextlib.suppress(ConnectionRefusedError):
                return await asyncio.open_connection("127.0.0.1", port)
        raise ConnectionRefusedError

    async def _ask(self, line: str, *, body: bytes = b"", token: str = "") -> bytes:
        lines = [f"{line} HTTP/1.1", "Host: localhost", "Origin: http://localhost:8081"]
        if token:
            lines.append(f"x-access-token: {token}")
        if body:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await self._connect()
        self._writer.write("\r\n".join((*lines, "", "")).encode() + body)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        received = await _read_body(self._reader, head)
        if b"\r\nconnection: close\r\n" in head:
            self.close()
        if not head.startswith(b"http/1.1 200 "):
            raise UnexpectedError(f"status {head.split()[1].decode()}")
        return received


async def _read_body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    if b"\r\ntransfer-encoding: chunked\r\n" in head:
        body = b""
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
        return body
    _, _, rest = head.partition(b"\r\ncontent-length: ")
    return await reader.readexactly(int(rest.partition(b"\r\n")[0]))


async def _outcome(step: Step, seconds: float) -> str:
    try:
        async with asyncio.timeout(seconds):
            await step()
    except UnexpectedError as error:
        return str(error)
    except TimeoutError:
        return "timeout"
    except (OSError, EOFError, ValueError) as error:
        return type(error).__name__
    return OK


def _steps(plan: Plan, client: Client, number: int) -> Iterator[Step]:
    """Yield what a client does, one request at a time."""
    if plan.users:
        yield from _User(plan, client, *plan.users[number % len(plan.users)]).steps()
    for path, expected in itertools.cycle(plan.gets):
        token = _token_of_nobody() if plan.unknown_kids else plan.token
        yield partial(client.get, path, expected, token)


def _token_of_nobody() -> str:
    header = {"alg": "RS256", "typ": "at+jwt", "kid": secrets.token_hex(16)}
    return f"{b64(as_json(header))}.e30.AAAA"


class _User:
    """Somebody who begins one session after the other."""

    def __init__(self, plan: Plan, client: Client, name: str, password: str) -> None:
        self._plan = plan
        self._client = client
        self._credentials = {"username": name, "password": password}
        self._refresh_token = ""
        self._held: deque[tuple[float, str]] = deque()
        """Access tokens, the oldest first, and when they are as good as over."""

    def steps(self) -> Iterator[Step]:
        while True:
            yield partial(self._ask, "/api/auth/signin", self._credentials)
            for _ in range(3):
                yield self._refresh
                if self._plan.reads:
                    yield from self._reads()

    async def _refresh(self) -> None:
        members = {"refreshToken": self._refresh_token}
        await self._ask("/api/auth/refreshtoken", members)

    async def _ask(self, path: str, members: dict[str, str]) -> None:
        answer = await self._client.post(path, members)
        self._refresh_token = answer["refreshToken"]
        ends_at = time.monotonic() + answer["expiresIn"] - _LEFT_SECONDS
        self._held.append((ends_at, answer["accessToken"]))

    def _reads(self) -> Iterator[Step]:
        while self._held and self._held[0][0] < time.monotonic():
            self._held.popleft()
        for each in (0, -1) if self._held else ():
            _, token = self._held[each]
            yield partial(self._client.get, *self._plan.gets[-1], token)


async def _run_client(plan: Plan, number: int, stop: asyncio.Event) -> list[Request]:
    client = Client(plan)
    pause = plan.clients / plan.rate
    due = time.monotonic() + pause * number / plan.clients
    requests = []
    for step in _steps(plan, client, number):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), max(0.0, due - time.monotonic()))
        if stop.is_set():
            break
        began_at = time.monotonic()
        outcome = await _outcome(step, plan.timeout)
        if outcome == _REFUSED and plan.ends_when_refused:
            break
        if outcome != OK:
            client.close()
        requests.append(Request(began_at, time.monotonic() - began_at, outcome))
        due = max(due + pause, time.monotonic())
    client.close()
    return requests


async def _run(plan: Plan) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin, stop.set)
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    clients = (_run_client(plan, number, stop) for number in range(plan.clients))
    made = [request for each in await asyncio.gather(*clients) for request in each]
    json.dump(sorted(made), sys.stdout)


if __name__ == "__main__":
    uvloop.run(_run(Plan(**json.loads(sys.argv[1]))))
