"""Content grows from one replica to five and shrinks to two while it is used."""

import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import pytest
from tests.faults.figures import BOTH, Figures, tell
from tests.support.cluster import (
    GATEWAY_TOML,
    Cluster,
    Gateway,
    Process,
    lasting_port,
    started,
)
from tests.support.load import Plan, running_load
from tests.support.missing import skip_missing

TRAFFIC_SECONDS = 6
"""How soon a new replica must be seen taking requests."""

LATEST_LOOK_SECONDS = 5.5
"""How long a name that has changed may go unnoticed."""

ADDRESSES_IN_FILE = '"http://127.0.0.1:8002"'
BIND_HOSTS = 'mount --bind "$0" /etc/hosts && exec "$@"'


class Scale(Protocol):
    """A way to tell the gateway which replicas there are."""

    gateway: Gateway

    def announce(self, replicas: Sequence[Process]) -> None: ...


class Reload:
    """The operator changes the file and sends SIGHUP."""

    def __init__(self, cluster: Cluster, _: Path, replicas: Sequence[Process]) -> None:
        self.gateway = cluster.new_gateway()
        del self.gateway.environment["GATEWAY_UPSTREAM_CONTENT"]
        self._config = Path(self.gateway.environment["GATEWAY_CONFIG"])
        self.announce(replicas[:1])

    def announce(self, replicas: Sequence[Process]) -> None:
        self._write(replicas)
        if self.gateway.is_running:
            self.gateway.send(signal.SIGHUP)

    def _write(self, replicas: Sequence[Process]) -> None:
        toml = GATEWAY_TOML.read_text()
        assert ADDRESSES_IN_FILE in toml
        addresses = ", ".join(f'"{each.address}"' for each in replicas)
        self._config.write_text(toml.replace(ADDRESSES_IN_FILE, addresses))


class Name:
    """A name stands for more or fewer addresses, and nobody tells the gateway."""

    def __init__(
        self, cluster: Cluster, folder: Path, replicas: Sequence[Process]
    ) -> None:
        port, internal_port = lasting_port(), lasting_port()
        for number, replica in enumerate(replicas, start=2):
            replica.move_to(f"127.0.0.{number}", port, internal_port)
        self._hosts = folder / "hosts"
        self._hosts.touch()
        self.gateway = cluster.new_gateway(
            # The names of a machine, for one process only.
            command=["unshare", "-rm", "sh", "-c", BIND_HOSTS, str(self._hosts)],
            GATEWAY_UPSTREAM_CONTENT=f"http://content.test:{port}?probe={internal_port}",
        )
        self.announce(replicas[:1])

    def announce(self, replicas: Sequence[Process]) -> None:
        lines = (f"{each.host} content.test\n" for each in replicas)
        self._hosts.write_text("127.0.0.1 localhost\n" + "".join(lines))


def may_bind_hosts() -> bool:
    tried = ["unshare", "-rm", "mount", "--bind", "/dev/null", "/etc/hosts"]
    return (
        shutil.which("unshare") is not None
        and not subprocess.run(tried, capture_output=True, check=False).returncode
    )


@pytest.mark.parametrize("way", [Reload, Name])
@pytest.mark.parametrize("figures", BOTH)
def test_scaling_costs_no_request(
    cluster: Cluster,
    token: str,
    tmp_path: Path,
    figures: Figures,
    way: type[Reload] | type[Name],
) -> None:
    if way is Name and not may_bind_hosts():
        skip_missing("there are no user namespaces here")
    replicas = [cluster.new_content() for _ in range(5)]
    scale: Scale = way(cluster, tmp_path, replicas)
    plan = Plan(ports=[scale.gateway.port], token=token, rate=figures.rate)
    with started(*replicas, scale.gateway), running_load(plan) as load:
        time.sleep(figures.warm)
        scale.announce(replicas)
        seen_after = until_all_take_requests(scale.gateway, replicas)
        time.sleep(figures.warm)

        scale.announce(replicas[:2])
        if way is Name:
            time.sleep(LATEST_LOOK_SECONDS)
        for replica in replicas[2:]:
            assert replica.stop() == 0
        addresses = {each["address"] for each in scale.gateway.replicas("content")}
        time.sleep(figures.recovery)
        report = load.report()

    tell(report, f"all five seen after {seen_after:.1f} s")
    assert addresses == {f"{each.host}:{each.port}" for each in replicas[:2]}
    assert not report.failed, report


def until_all_take_requests(gateway: Gateway, replicas: Sequence[Process]) -> float:
    began_at = time.monotonic()
    expected = {f"{each.host}:{each.port}" for each in replicas}
    while expected > {
        r["address"] for r in gateway.replicas("content") if r["requests"]
    }:
        assert time.monotonic() - began_at < TRAFFIC_SECONDS
        time.sleep(0.05)
    return time.monotonic() - began_at
