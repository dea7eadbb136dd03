"""Replicas of content die, freeze or slow down under load."""

import signal
import time

import pytest
from tests.faults.figures import BOTH, Figures, tell
from tests.support.cluster import Cluster, started
from tests.support.contract_walk import ORIGIN
from tests.support.load import Plan, running_load
from tests.support.requests import send
from tests.support.slow_proxy import slow_proxy

ATTEMPT_TIMEOUT = 0.5
"""What docs/gateway.md says of how long a replica is waited for if there is another."""


@pytest.mark.parametrize("figures", BOTH)
def test_a_replica_that_is_killed_costs_no_get(
    cluster: Cluster, token: str, figures: Figures
) -> None:
    victim, *others = cluster.content
    plan = Plan(ports=[cluster.gateway.port], token=token, rate=figures.rate)
    with running_load(plan) as load:
        time.sleep(figures.warm)
        killed_at = time.monotonic()
        victim.kill()
        ejected_after = cluster.until_usable("content", others)
        time.sleep(figures.fault)
        victim.start()
        victim.until_ready()
        readmitted_after = cluster.until_usable("content", cluster.content)
        time.sleep(figures.recovery)
        report = load.report()

    tell(report, f"out {ejected_after:.2f} s, back {readmitted_after:.2f} s")
    assert not report.failed, report
    assert report.between(killed_at, killed_at + figures.fault).percentile(0.99) < 1
    assert ejected_after <= 1
    assert readmitted_after <= 10


@pytest.mark.parametrize("figures", BOTH)
def test_a_replica_that_freezes_costs_no_get_and_no_other_route(
    cluster: Cluster, token: str, figures: Figures
) -> None:
    victim = cluster.content[0]
    gets = Plan(ports=[cluster.gateway.port], token=token, rate=figures.rate)
    users = [cluster.new_user() for _ in range(4)]
    sessions = Plan(ports=[cluster.gateway.port], users=users, clients=4, rate=10)
    with running_load(gets) as load, running_load(sessions) as other_load:
        time.sleep(figures.warm)
        frozen_at = time.monotonic()
        victim.send(signal.SIGSTOP)
        time.sleep(figures.fault + 1)
        out_by = frozen_at + max(figures.fault, 12)  # three probes that time out
        while f"{victim.host}:{victim.port}" in cluster.gateway.usable("content"):
            assert time.monotonic() < out_by
            time.sleep(0.1)
        thawed_at = time.monotonic()
        victim.send(signal.SIGCONT)
        cluster.until_usable("content", cluster.content)
        time.sleep(figures.recovery)
        report, other_report = load.report(), other_load.report()

    before = report.between(0, frozen_at)
    first = report.between(frozen_at, frozen_at + 2)
    then = report.between(frozen_at + 2, thawed_at)
    others_then = other_report.between(frozen_at, thawed_at)
    tell("before:", before, "first 2 s:", first, "then:", then, "auth:", others_then)
    assert not report.failed, report
    assert not other_report.failed, other_report
    assert first.percentile(0.99) <= ATTEMPT_TIMEOUT + 0.3
    assert then.percentile(0.99) <= max(1.2 * before.percentile(0.99), 0.25)
    assert others_then.percentile(0.99) < ATTEMPT_TIMEOUT


@pytest.mark.parametrize("figures", BOTH)
@pytest.mark.parametrize(
    ("delay", "bytes_a_second"), [(2.0, 0.0), (0.0, 1.0)], ids=["late", "dripping"]
)
def test_a_slow_replica_slows_few_requests(
    cluster: Cluster,
    token: str,
    figures: Figures,
    delay: float,
    bytes_a_second: float,
) -> None:
    victim = cluster.content[0]
    with slow_proxy(victim.port) as proxy:
        # Its probes are not slow: nothing but its answers gives it away.
        slow = f"http://127.0.0.1:{proxy.port}?probe={victim.internal_port}"
        addresses = [slow, *(each.address for each in cluster.content[1:])]
        gateway = cluster.new_gateway(GATEWAY_UPSTREAM_CONTENT=",".join(addresses))
        plan = Plan(ports=[gateway.port], token=token, rate=figures.rate)
        with started(gateway), running_load(plan) as load:
            time.sleep(figures.warm)
            slow_at = time.monotonic()
            proxy.delay, proxy.bytes_a_second = delay, bytes_a_second
            time.sleep(figures.fault + 3)
            report = load.report()

    tell(report)
    assert not report.failed, report
    later = report.between(slow_at + 3, time.monotonic())
    assert later.percentile(0.95) < 1, later


@pytest.mark.parametrize("figures", BOTH)
def test_without_any_replica_the_answer_is_quick_and_so_is_the_recovery(
    cluster: Cluster, figures: Figures
) -> None:
    for replica in cluster.content:
        replica.kill()
    until = time.monotonic() + figures.fault
    while time.monotonic() < until:
        answer = send(cluster.gateway.port, "GET", "/api/test/all")
        assert answer.status in {502, 503}
        assert answer.seconds < 1
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["Retry-After"]
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        time.sleep(0.05)
    for replica in cluster.content:
        replica.start()
    for replica in cluster.content:
        replica.until_ready()
    ready_at = time.monotonic()
    while send(cluster.gateway.port, "GET", "/api/test/all").status != 200:
        assert time.monotonic() - ready_at < 5
        time.sleep(0.05)
