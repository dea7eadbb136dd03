"""Processes are killed, or their upstream is away."""

import concurrent.futures
import contextlib
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from tests.faults.figures import BOTH, LONG, SHORT, Figures, tell
from tests.support.cluster import Cluster, Process, started
from tests.support.load import Plan, running_load
from tests.support.requests import TimedAnswer, send

AWAY = {502, 503, 504}

FREEZE_KNOWN = 8.0
"""Seconds until probes and requests have shown that a lone replica hangs."""

RESPONSE_HEAD = 15.0
"""Of the routes of identity in deploy/gateway.toml."""


@pytest.mark.parametrize("figures", BOTH)
def test_identity_killed_costs_content_nothing_and_is_back_soon(
    cluster: Cluster, token: str, figures: Figures
) -> None:
    gets = Plan(ports=[cluster.gateway.port], token=token, rate=figures.rate)
    users = [cluster.new_user() for _ in range(4)]
    sessions = Plan(ports=[cluster.gateway.port], users=users, clients=4, rate=10)
    with running_load(gets) as load, running_load(sessions) as session_load:
        time.sleep(figures.warm)
        cluster.identity.kill()
        killed_at = time.monotonic()
        cluster.identity.start()
        cluster.identity.until_ready()
        cluster.until_usable("identity", cluster.identities)
        back_after = time.monotonic() - killed_at
        time.sleep(figures.recovery + 1)
        report, session_report = load.report(), session_load.report()

    tell("content:", report, "identity:", session_report, f"back {back_after:.1f} s")
    assert back_after <= 5
    assert not report.failed, report
    after = session_report.between(killed_at + back_after, time.monotonic())
    # A client that was cut off in a refresh signs in again.
    assert after.ok
    assert not after.failed, after


def test_a_worker_of_the_gateway_that_is_killed_is_back_soon(
    cluster: Cluster, token: str
) -> None:
    gateway = cluster.new_gateway(GATEWAY_WORKERS="2")
    plan = Plan(ports=[gateway.port], token=token)
    with started(gateway), running_load(plan) as load:
        time.sleep(1)
        before = gateway.children
        killed_at = time.monotonic()
        os.kill(before[0], signal.SIGKILL)
        while len(gateway.children) < 2 or gateway.children == before:
            assert time.monotonic() - killed_at < 5
            time.sleep(0.02)
        gateway.until_ready()
        back_after = time.monotonic() - killed_at
        time.sleep(2)
        report = load.report()

    tell(report, f"back {back_after:.1f} s")
    assert back_after <= 5
    cut_off = report.between(0, killed_at + 0.5)
    assert cut_off.failed.total() <= plan.clients, "each connection breaks once at most"
    after = report.between(killed_at + back_after, time.monotonic())
    assert after.ok > 100
    assert not after.failed, after


@contextlib.contextmanager
def killed(identity: Process) -> Iterator[None]:
    identity.kill()
    yield


@contextlib.contextmanager
def frozen(identity: Process) -> Iterator[None]:
    identity.send(signal.SIGSTOP)
    yield


@contextlib.contextmanager
def swallowed(identity: Process) -> Iterator[None]:
    """Nobody refuses a connection, and nobody accepts one: its packets are lost."""
    identity.kill()
    with contextlib.ExitStack() as stack:
        for port in (identity.port, identity.internal_port):
            listener = stack.enter_context(socket.socket())
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            listener.listen(0)
            for _ in range(2):  # fill the queue of those to be accepted
                filler = stack.enter_context(socket.socket())
                filler.settimeout(0)
                filler.connect_ex(("127.0.0.1", port))
        yield


@pytest.mark.parametrize(
    "figures",
    [
        pytest.param(SHORT, id="short"),
        pytest.param(
            replace(LONG, fault=300),
            id="five minutes",
            marks=[pytest.mark.faults, pytest.mark.timeout(600)],
        ),
    ],
)
@pytest.mark.parametrize("away", [killed, frozen, swallowed])
def test_content_goes_on_without_identity(
    cluster: Cluster,
    token: str,
    figures: Figures,
    away: Callable[[Process], contextlib.AbstractContextManager[None]],
) -> None:
    port = cluster.gateway.port
    name, password = cluster.new_user()
    members = {"username": name, "password": password}

    def sign_in() -> tuple[float, TimedAnswer]:
        began_at = time.monotonic()
        return began_at, send(port, "POST", "/api/auth/signin", members)

    gets = Plan(ports=[port], token=token, rate=figures.rate)
    with running_load(gets) as load, ThreadPoolExecutor(16) as threads:
        time.sleep(figures.warm)
        with away(cluster.identity):
            away_at = time.monotonic()
            known_at = away_at
            tries = []
            if away is frozen:
                tries.append(threads.submit(sign_in))
                known_at += FREEZE_KNOWN
                time.sleep(FREEZE_KNOWN)
            while time.monotonic() < known_at + figures.fault + 1:
                tries.append(threads.submit(sign_in))
                time.sleep(0.25)
            if away is not frozen:
                concurrent.futures.wait(tries)
        cluster.heal()
        answers = [each.result() for each in tries]
        assert sign_in()[1].status == 200
        report = load.report()

    slowest = max((answer.seconds for _, answer in answers), default=0.0)
    statuses = Counter(answer.status for _, answer in answers)
    tell(report, f"sign-ins {dict(statuses)}, slowest {slowest:.2f} s")
    assert not report.failed, report
    tried = [answer for _, answer in answers if answer.seconds > 2]
    if away is frozen:  # one request at a time finds out whether it responds again
        assert len(tried) <= 1 + figures.fault / RESPONSE_HEAD
    else:
        assert not tried
    for began_at, answer in answers:
        if answer in tried:
            continue
        assert answer.status in AWAY
        assert answer.headers["Retry-After"]
        assert answer.headers["Content-Type"] == "application/problem+json"
        if away is not swallowed and began_at > away_at + 2:
            assert answer.status == 503
