"""Processes are stopped and restarted on purpose."""

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.faults.figures import BOTH, SHORT, Figures, tell
from tests.support.cluster import Cluster, Process, started, two_of_each
from tests.support.database import DatabaseServer
from tests.support.load import Plan, running_load


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("figures", BOTH)
def test_sigterm_of_the_gateway_resets_no_client(
    cluster: Cluster, token: str, figures: Figures, workers: str
) -> None:
    gateway = cluster.new_gateway(GATEWAY_WORKERS=workers)
    plan = Plan(
        ports=[gateway.port], token=token, rate=figures.rate, ends_when_refused=True
    )
    with started(gateway), running_load(plan) as load:
        time.sleep(figures.warm)
        told_at = time.monotonic()
        gateway.send(signal.SIGTERM)
        time.sleep(0.2)
        assert not gateway.is_ready, "balancers are told first"
        code = gateway.ended()
        ended_after = time.monotonic() - told_at
        report = load.report()

    tell(report, f"ended after {ended_after:.1f} s")
    assert code == 0
    assert ended_after < 20
    draining = report.between(told_at, told_at + 2)
    assert draining.ok > figures.rate, "it serves on while balancers look away"
    assert not report.failed, report


@pytest.mark.parametrize("figures", BOTH)
def test_one_of_two_gateways_is_restarted(
    cluster: Cluster, token: str, figures: Figures
) -> None:
    gateways = [cluster.new_gateway(), cluster.new_gateway()]
    ports = [each.port for each in gateways]
    plan = Plan(ports=ports, token=token, rate=figures.rate)
    with started(*gateways), running_load(plan) as load:
        for gateway in gateways:
            time.sleep(figures.warm)
            gateway.restart()
        time.sleep(figures.recovery)
        report = load.report()

    tell(report)
    assert not report.failed, report


def test_gateways_behind_one_port_are_restarted_one_after_the_other(
    cluster: Cluster, token: str
) -> None:
    shared = {"GATEWAY_SHARE_PORT": "on", "GATEWAY_DRAIN_DELAY": "0.5"}
    gateways = [cluster.new_gateway(**shared), cluster.new_gateway(**shared)]
    first, second = gateways
    second.move_to(first.host, first.port, second.internal_port)
    plan = Plan(ports=[first.port], token=token)
    with started(*gateways), running_load(plan) as load:
        time.sleep(SHORT.warm)
        for gateway in gateways:
            gateway.restart()
            time.sleep(SHORT.recovery)
        report = load.report()

    tell(report)
    assert not report.failed, report


@pytest.fixture
def pairs(database_server: DatabaseServer, tmp_path: Path) -> Iterator[Cluster]:
    short_drains = {"IDENTITY_DRAIN_DELAY": "1.2", "CONTENT_DRAIN_DELAY": "1.2"}
    with two_of_each(database_server.url, tmp_path, short_drains) as cluster:
        yield cluster


@pytest.mark.parametrize("figures", BOTH)
def test_a_rolling_restart_costs_no_request(pairs: Cluster, figures: Figures) -> None:
    ports = [pairs.gateway.port]
    gets = Plan(ports=ports, token=pairs.new_token(), rate=figures.rate)
    users = [pairs.new_user() for _ in range(6)]
    sessions = Plan(ports=ports, users=users, clients=6, rate=figures.rate / 5)
    with running_load(gets) as load, running_load(sessions) as session_load:
        time.sleep(figures.warm)
        for processes in zip(pairs.identities, pairs.content, strict=True):
            with ThreadPoolExecutor() as threads:
                list(threads.map(Process.restart, processes))
            pairs.until_usable("identity", pairs.identities)
            pairs.until_usable("content", pairs.content)
        time.sleep(figures.recovery)
        report, session_report = load.report(), session_load.report()

    tell("content:", report, "identity:", session_report)
    assert not report.failed, report
    assert session_report.ok > 20
    assert not session_report.failed, session_report


@pytest.mark.parametrize("service", ["identity", "content"])
def test_a_second_sigterm_ends_a_service_at_once(
    cluster: Cluster, service: str
) -> None:
    process = cluster.identity if service == "identity" else cluster.content[0]
    process.send(signal.SIGTERM)
    time.sleep(0.3)
    assert process.is_running, "the first one drains"
    process.send(signal.SIGTERM)
    assert process.ended(seconds=2) == 128 + signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_gateway_that_is_told_twice_leaves_no_worker(
    cluster: Cluster, number: signal.Signals
) -> None:
    gateway = cluster.new_gateway(GATEWAY_WORKERS="2", GATEWAY_DRAIN_DELAY="30")
    with started(gateway):
        workers = gateway.children
        assert len(workers) == 2
        gateway.send(signal.SIGTERM)
        time.sleep(0.3)
        assert gateway.is_running, "the first one drains"
        gateway.send(number)
        assert gateway.ended(seconds=3) != 0
        told_at = time.monotonic()
        while any(Path(f"/proc/{worker}/fd").exists() for worker in workers):
            assert time.monotonic() - told_at < 3, "workers outlive their parent"
            time.sleep(0.02)
