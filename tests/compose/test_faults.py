"""The containers under 100 requests a second while one thing after another goes wrong.

`make test-compose-faults` runs it and prints the table. Every experiment has the same
criteria: no GET of content fails, nothing that was acknowledged is lost, no session
ends, and what else fails does so no longer than the experiment allows.
"""

import asyncio
import contextlib
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from tests.support.containers import Containers, crash, docker, engine_answers
from tests.support.fault_rows import TABLE, not_done, of, row, verdict
from tests.support.missing import skip_missing
from tests.support.traffic import CONTENT, IDENTITY, OK, SESSIONS, Traffic, refuses

ROOT: Final = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.compose,
    pytest.mark.faults,
    pytest.mark.timeout(1500),  # the first one waits until the images are built
]

WARM_SECONDS: Final = 3.0
RECOVERY_SECONDS: Final = 6.0
HEALING_SECONDS: Final = 30.0
"""In which every container is well again by itself; the engine looks each 2 s."""
FROZEN_SECONDS: Final = 10.0

ONE_PROCESS: Final = 5.0
"""A killed process is back in so many seconds (F1)."""
DATABASE: Final = 2.0
"""How much longer than the database is away sign-ins may fail (F15)."""


@dataclass(frozen=True)
class Experiment:
    """What is done, and how long requests may fail for it."""

    name: str
    act: Callable[[Containers], object]
    identity: float = 0.0
    """Seconds in which requests of identity may fail."""
    content: float = 0.0
    """Likewise of content: none, except without the one way in."""

    @property
    def allowed(self) -> dict[str, float]:
        return {IDENTITY: self.identity, CONTENT: self.content}


def scaled(containers: Containers) -> None:
    for replicas in ("5", "2"):
        containers.compose(
            *("up", "--detach", "--no-deps", "--no-recreate", "--wait"),
            *("--scale", f"content={replicas}", "content"),
        )
        time.sleep(RECOVERY_SECONDS)


def renewed(service: str) -> Callable[[Containers], None]:
    return lambda containers: containers.run("deploy/compose/renew", service)


def killed(service: str) -> Callable[[Containers], None]:
    return lambda containers: crash(containers.ids(service)[0])


def frozen(service: str) -> Callable[[Containers], None]:
    def act(containers: Containers) -> None:
        [container, *_] = containers.ids(service)
        docker("pause", container)
        try:
            time.sleep(FROZEN_SECONDS)
        finally:
            docker("unpause", container)

    return act


def restarted(service: str) -> Callable[[Containers], None]:
    def act(containers: Containers) -> None:
        docker("restart", *containers.ids(service))
        containers.compose("up", "--detach", "--no-deps", "--wait", service)

    return act


def backed_up(containers: Containers) -> None:
    with tempfile.TemporaryDirectory() as folder:
        containers.run("deploy/backup/backup", f"{folder}/backup.gz")


def stopped(service: str) -> Callable[[Containers], None]:
    def act(containers: Containers) -> None:
        [container] = containers.ids(service)
        try:
            docker("stop", container)
            time.sleep(FROZEN_SECONDS)
        finally:
            docker("start", container)

    return act


EXPERIMENTS: Final = [
    Experiment("nothing", lambda _: time.sleep(5)),
    Experiment("content 1 -> 5 -> 2", scaled),
    Experiment("rolling restart of content", renewed("content")),
    Experiment("rolling restart of identity", renewed("identity")),
    Experiment("rolling restart of the gateways", renewed("gateway")),
    Experiment("backup", backed_up),
    Experiment("kill -9 of content", killed("content")),
    Experiment("kill -9 of identity", killed("identity"), identity=ONE_PROCESS),
    Experiment("kill -9 of a gateway", killed("gateway"), identity=ONE_PROCESS),
    Experiment(
        "kill -9 of edge",
        killed("edge"),
        identity=2 * ONE_PROCESS,
        content=2 * ONE_PROCESS,
    ),
    Experiment("kill -9 of mysql", killed("mysql"), identity=6 * ONE_PROCESS),
    Experiment("kill -9 of valkey", killed("valkey")),
    Experiment("mysql restarted", restarted("mysql"), identity=6 * ONE_PROCESS),
    Experiment("valkey stopped for 10 s", stopped("valkey")),
    Experiment("content frozen for 10 s", frozen("content")),
    Experiment("identity frozen for 10 s", frozen("identity"), identity=FROZEN_SECONDS),
    Experiment("a gateway frozen for 10 s", frozen("gateway")),
    Experiment("edge frozen for 10 s", frozen("edge")),
    Experiment(
        "mysql frozen for 10 s", frozen("mysql"), identity=FROZEN_SECONDS + DATABASE
    ),
    Experiment("valkey frozen for 10 s", frozen("valkey")),
]


@pytest.fixture(scope="module")
def containers() -> Iterator[Containers]:
    if not engine_answers():
        skip_missing("no Docker engine with Compose v2 answers here")
    started = Containers(
        COMPOSE_FILE=f"docker-compose.yml:{Path(__file__).parent / 'faults.yml'}",
        CONTENT_REPLICAS="2",
        IDENTITY_REPLICAS="2",
    )
    try:
        started.up("--build")
        yield started
    finally:
        started.down()


@contextlib.contextmanager
def a_row_at_least(name: str) -> Iterator[None]:
    """Have the table say so where an experiment ends before it has been judged."""
    rows = len(TABLE)
    try:
        yield
    finally:
        if len(TABLE) == rows:
            TABLE.append(not_done(name))


async def settled(containers: Containers) -> None:
    """Return when all is healthy, whatever a failed experiment has left behind."""
    options = ("--no-build", "--no-recreate", "--detach", "--wait")
    await asyncio.to_thread(containers.compose, "up", *options)


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda each: each.name)
async def test_fault(containers: Containers, experiment: Experiment) -> None:
    with a_row_at_least(experiment.name):
        await settled(containers)
        await judged(containers, experiment)


def services(containers: Containers) -> Counter[str]:
    return Counter(each["Service"] for each in containers.states())


def left_behind(containers: Containers, before: Counter[str]) -> list[str]:
    """Return what has not healed by itself: containers that are gone, or not well."""
    deadline = time.monotonic() + HEALING_SECONDS
    while unwell := containers.unwell():
        if time.monotonic() > deadline:
            break
        time.sleep(1)
    changed = (services(containers) - before) + (before - services(containers))
    return [*unwell, *(f"other containers of {service}" for service in changed)]


async def judged(containers: Containers, experiment: Experiment) -> None:
    """Do what goes wrong, and demand that everything else goes right."""
    before = await asyncio.to_thread(services, containers)
    async with Traffic(containers.base_url) as traffic:
        await asyncio.sleep(WARM_SECONDS)
        began_at = time.monotonic()
        await asyncio.to_thread(experiment.act, containers)
        acted = time.monotonic() - began_at
        await asyncio.sleep(RECOVERY_SECONDS + experiment.identity)
        await traffic.stop()
        losses = await traffic.losses()
    faults = [*losses, *verdict(traffic.requests, experiment.allowed)]
    faults += await asyncio.to_thread(left_behind, containers, before)
    TABLE.append(row(experiment.name, acted, traffic.requests, faults))
    assert not faults


async def test_restore(containers: Containers, tmp_path: Path) -> None:
    """Accounts of the backup are there, no session is, and nothing fails afterwards.

    Content refuses the tokens of the sessions that have ended, and nothing else.
    """
    with a_row_at_least("restore"):
        await settled(containers)
        await restored(containers, str(tmp_path / "backup.gz"))


async def restored(containers: Containers, backup: str) -> None:
    async with Traffic(containers.base_url) as traffic:
        await asyncio.sleep(WARM_SECONDS)
        saved = [*traffic.signed_up]
        await asyncio.to_thread(containers.run, "deploy/backup/backup", backup)
        await asyncio.sleep(WARM_SECONDS)
        began_at = time.monotonic()
        await asyncio.to_thread(containers.run, "deploy/backup/restore", backup)
        acted = time.monotonic() - began_at
        await asyncio.sleep(RECOVERY_SECONDS)
        await traffic.stop()
        is_over = len(traffic.ended) == SESSIONS
        traffic.signed_up, traffic.ended = saved, []
        faults = await traffic.losses()
    if not is_over:
        faults.append("a session lives on")
    reads = {each.outcome for each in of(CONTENT, traffic.requests)} - {OK}
    faults += {outcome for outcome in reads if not refuses(outcome)}
    async with Traffic(containers.base_url) as afterwards:
        await asyncio.sleep(2 * WARM_SECONDS)
        await afterwards.stop()
    faults += verdict(afterwards.requests, {})
    TABLE.append(row("restore", acted, traffic.requests, faults))
    assert not faults
