"""The database of identity dies, freezes and refuses under load.

Clients sign up, in and out and refresh meanwhile, and try again what was answered
with 503. The history of what they were told is compared with what is stored then.
"""

import asyncio
import contextlib
import itertools
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from aiohttp import ClientSession, DummyCookieJar
from sqlalchemy import make_url, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import NullPool
from tests.faults.figures import BOTH, LONG, SHORT, Figures, tell
from tests.support.cluster import Process, check_logs
from tests.support.database import (
    DatabaseServer,
    connected,
    empty_database,
    migrate,
    running_server,
)
from tests.support.fault_proxy import Fault, FaultProxy
from tests.support.identity import (
    KEYS,
    PASSWORD,
    Answer,
    IdentityClient,
    give_signing_keys,
    identity_environment,
    identity_settings,
)
from tests.support.missing import skip_missing

from identity_service.composition import Services
from identity_service.storage import tables

USER: Final = "identity"
SECRET: Final = "only-what-it-needs"
CLIENTS: Final = 6
PAUSE: Final = 0.02

ANSWERED_WITHIN: Final = 3.0
RECOVERED_WITHIN: Final = 2.0
"""Seconds."""

DISK: Final = "size=256m"


class Try(NamedTuple):
    """One request, as its client saw it."""

    began_at: float
    seconds: float
    what: str
    status: int


@dataclass
class History:
    """What clients were told, and what must therefore be true."""

    tries: list[Try] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    """Of acknowledged accounts."""
    live: dict[str, str] = field(default_factory=dict, repr=False)
    """The refresh token that was got last in a session that goes on, by name."""
    ended: list[str] = field(default_factory=list, repr=False)
    """Refresh tokens of sessions that were signed out of."""
    is_over: bool = False

    async def until_told(
        self, what: str, ask: Callable[[], Awaitable[Answer]]
    ) -> tuple[Answer, bool]:
        """Ask until there is another answer than 503; tell whether there was one."""
        for number in itertools.count():
            began_at = time.monotonic()
            answer = await ask()
            seconds = time.monotonic() - began_at
            self.tries.append(Try(began_at, seconds, what, answer.status))
            if answer.status != 503:
                return answer, number > 0
            assert int(answer.headers["Retry-After"]) >= 1
            await asyncio.sleep(PAUSE)
        raise AssertionError

    async def live_on(self, client: IdentityClient, number: int) -> None:
        """Be a client: one user after the other, each for a few requests."""
        for turn in itertools.count():
            name = f"user{number}-{turn}"
            answer, was_refused = await self.until_told(
                "sign-up", partial(client.sign_up, name)
            )
            # What was refused may have happened: its answer alone was lost.
            assert answer.status == 200 or (
                was_refused and answer.message.endswith("Username is already in use!")
            )
            self.names.append(name)
            answer, _ = await self.until_told("sign-in", partial(client.sign_in, name))
            for _ in range(4):
                assert answer.status == 200, answer.text
                self.live[name] = token = answer.json["refreshToken"]
                if self.is_over:
                    return
                await asyncio.sleep(PAUSE)
                answer, _ = await self.until_told(
                    "refresh", partial(client.refresh, token)
                )
            del self.live[name]
            token = answer.json["refreshToken"]
            answer, _ = await self.until_told(
                "sign-out", partial(client.sign_out, token)
            )
            assert answer.status == 200, answer.text
            self.ended.append(token)

    async def check(self, client: IdentityClient, url: str) -> None:
        """Check that what was acknowledged is so, and nothing is half done."""
        for name in self.names:
            assert (await client.sign_in(name)).json["roles"] == ["ROLE_USER"]
        for token in self.live.values():
            assert (await client.refresh(token)).status == 200
        for token in self.ended:
            assert (await client.refresh(token)).status == 403
        with_role = select(tables.users.c.id).join_from(tables.users, tables.user_roles)
        async with connected(url) as engine, engine.connect() as connection:
            everybody = await connection.scalars(select(tables.users.c.id))
            assert sorted(everybody) == sorted(await connection.scalars(with_role))
        async with Services(identity_settings(url)) as composed:
            verification = await composed.audit.verify()
        assert verification.broken_at is None


@dataclass
class Deployment:
    """Identity, its database, and what stands between them."""

    server: DatabaseServer
    root: AsyncEngine
    proxy: FaultProxy
    process: Process
    url: str
    """Of the database, around the proxy."""

    async def execute(self, *statements: str) -> None:
        async with self.root.connect() as connection:
            for statement in statements:
                await connection.execute(text(statement))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseServer]:
    """A server of these tests' own, on a disk of its own that is small."""
    folder = tmp_path_factory.mktemp("disk")
    with small_disk(folder), running_server(folder) as own:
        yield own


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Mount memory; skip where we may not."""
    mount = ["mount", "-t", "tmpfs", "-o", DISK, "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        skip_missing("no disk can be mounted to be filled")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
async def deployment(
    server: DatabaseServer, tmp_path: Path
) -> AsyncIterator[Deployment]:
    async with (
        connected(server.url, isolation_level="AUTOCOMMIT", poolclass=NullPool) as root,
        empty_database(server.url) as url,
        FaultProxy(server.port) as proxy,
    ):
        await migrate(url)
        await give_signing_keys(identity_settings(url))
        direct = make_url(url).set(username=USER, password=SECRET)
        through = direct.set(port=proxy.port).render_as_string(hide_password=False)
        # A client that was refused throughout the fault has its token forgiven.
        settings = identity_environment(through, IDENTITY_REFRESH_GRACE="60")
        process = Process("identity", tmp_path / "identity.log", settings)
        deployed = Deployment(server, root, proxy, process, url)
        await deployed.execute(
            f"CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{SECRET}'",
            "GRANT SELECT, INSERT, UPDATE, DELETE"
            f" ON {direct.database}.* TO '{USER}'@'%'",
        )
        try:
            process.start()
            # Not in this thread: it is the proxy's, whom the process needs.
            await asyncio.to_thread(process.until_ready)
            yield deployed
        finally:
            process.end()
    check_logs(tmp_path, [*KEYS.values(), PASSWORD, SECRET])


@contextlib.asynccontextmanager
async def killed(deployed: Deployment) -> AsyncIterator[None]:
    deployed.server.kill()
    try:
        yield
    finally:
        await asyncio.to_thread(deployed.server.start)


@contextlib.asynccontextmanager
async def frozen(deployed: Deployment) -> AsyncIterator[None]:
    deployed.server.signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(ANSWERED_WITHIN)
        yield
    finally:
        deployed.server.signal(signal.SIGCONT)


@contextlib.asynccontextmanager
async def mute(deployed: Deployment) -> AsyncIterator[None]:
    """Connections are accepted, and nobody says a word to their handshake."""
    deployed.proxy.cut()
    deployed.proxy.set(Fault.MUTE)
    await asyncio.sleep(ANSWERED_WITHIN)
    yield
    deployed.proxy.set(Fault.NONE)


@contextlib.asynccontextmanager
async def read_only(deployed: Deployment) -> AsyncIterator[None]:
    await deployed.execute("SET GLOBAL read_only = 1")
    try:
        yield
    finally:
        await deployed.execute("SET GLOBAL read_only = 0")


@contextlib.asynccontextmanager
async def disk_full(deployed: Deployment) -> AsyncIterator[None]:
    folder = deployed.server.datadir.parent
    filler = folder / "filler"
    with filler.open("wb") as file:
        free = os.statvfs(folder)
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_bsize)
    try:
        yield
    finally:
        filler.unlink()
        if not deployed.server.is_running:  # it gives up after a while
            await asyncio.to_thread(deployed.server.start)


Failure = Callable[[Deployment], AbstractAsyncContextManager[None]]


@dataclass
class Liveness:
    """What the internal port says, asked again and again."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    async def watch(
        self, session: ClientSession, process: Process, history: History
    ) -> None:
        url = f"http://127.0.0.1:{process.internal_port}/livez"
        while not history.is_over:
            began_at = time.monotonic()
            async with session.get(url) as answer:
                self.statuses[answer.status] += 1
            self.seconds.append(time.monotonic() - began_at)
            await asyncio.sleep(PAUSE)

    @property
    def p99(self) -> float:
        return sorted(self.seconds)[int(0.99 * len(self.seconds))]


@contextlib.asynccontextmanager
async def clients_of(
    deployed: Deployment,
) -> AsyncIterator[tuple[History, Liveness]]:
    """Have clients, for the length of a block, and check their history then."""
    history, liveness = History(), Liveness()
    async with ClientSession(cookie_jar=DummyCookieJar()) as session:
        client = IdentityClient(f"http://127.0.0.1:{deployed.process.port}", session)
        async with asyncio.timeout(120), asyncio.TaskGroup() as tasks:
            tasks.create_task(liveness.watch(session, deployed.process, history))
            for number in range(CLIENTS):
                tasks.create_task(history.live_on(client, number))
            yield history, liveness
            history.is_over = True
        await history.check(client, deployed.url)


SHORTLY: Final = [
    pytest.param(killed, SHORT, id="killed"),
    pytest.param(frozen, SHORT, id="frozen"),
    pytest.param(disk_full, SHORT, id="disk full"),
]
AT_LENGTH: Final = [
    pytest.param(
        failure,
        LONG,
        id=f"{name}, at length",
        marks=[pytest.mark.faults, pytest.mark.timeout(240)],
    )
    for name, failure in {
        "killed": killed,
        "frozen": frozen,
        "mute": mute,
        "read-only": read_only,
        "disk full": disk_full,
    }.items()
]


@pytest.mark.parametrize(("failure", "figures"), [*SHORTLY, *AT_LENGTH])
async def test_nothing_acknowledged_is_lost_while_the_database(
    deployment: Deployment, failure: Failure, figures: Figures
) -> None:
    async with clients_of(deployment) as (history, liveness):
        await asyncio.sleep(figures.warm)
        async with failure(deployment):
            await asyncio.sleep(figures.fault)
            still_away_at = time.monotonic()
        back_at = time.monotonic()
        await asyncio.sleep(RECOVERED_WITHIN + figures.recovery)

    slowest = max(each.seconds for each in history.tries)
    codes = Counter((each.what, each.status) for each in history.tries)
    recovered = {
        what: min(
            began_at + seconds - back_at
            for began_at, seconds, of, status in history.tries
            if (of, status) == (what, 200) and began_at + seconds > still_away_at
        )
        for what in ("sign-up", "sign-in", "refresh", "sign-out")
    }
    tell(codes, f"slowest {slowest:.2f} s", recovered, f"livez {liveness.p99:.3f} s")
    assert {status for _, status in codes} <= {200, 400, 503}
    assert any(status == 503 for _, status in codes), "nobody has noticed"
    assert slowest < ANSWERED_WITHIN
    assert max(recovered.values()) < RECOVERED_WITHIN
    settled_at = back_at + RECOVERED_WITHIN
    later = {each.status for each in history.tries if each.began_at > settled_at}
    assert later == {200}
    assert set(liveness.statuses) == {200}
    assert liveness.p99 < 0.1


@pytest.mark.parametrize("figures", BOTH)
async def test_connections_killed_each_second_cost_a_request_each_at_most(
    deployment: Deployment, figures: Figures
) -> None:
    killed = 0
    async with clients_of(deployment) as (history, liveness):
        for _ in range(round(figures.fault)):
            await asyncio.sleep(1)
            killed += await kill_connections(deployment)

    codes = Counter((each.what, each.status) for each in history.tries)
    tell(codes, f"{killed} connections killed", f"livez {liveness.p99:.3f} s")
    assert {status for _, status in codes} <= {200, 400, 503}
    refused = sum(number for (_, status), number in codes.items() if status == 503)
    assert killed > figures.fault
    assert refused <= killed
    # One may be lost whose COMMIT was on its way: nobody knows what came of it.
    assert codes["sign-in", 503] <= max(1, 0.01 * codes["sign-in", 200])
    assert set(liveness.statuses) == {200}


async def kill_connections(deployed: Deployment) -> int:
    async with deployed.root.connect() as connection:
        ids = await connection.scalars(
            text("SELECT id FROM information_schema.processlist WHERE user = :user"),
            {"user": USER},
        )
        found = ids.all()
    for each in found:
        with contextlib.suppress(DBAPIError):  # it may have ended by itself
            await deployed.execute(f"KILL {each}")
    return len(found)
