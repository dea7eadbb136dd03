"""Three MariaDB nodes on loopback that form a Galera cluster, behind HAProxy."""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import URL
from tests.support.database import DatabaseServer, create_server
from tests.support.missing import skip_missing
from tests.support.ports import free_ports

_DEPLOY: Final = Path(__file__).parents[2] / "deploy" / "galera"
_PROVIDER: Final = Path("/usr/lib/galera/libgalera_smm.so")
_START_SECONDS: Final = 60


@dataclass
class Node:
    """One node: its server, and where the others find it."""

    server: DatabaseServer
    group_port: int
    transfer_ports: tuple[int, int]

    def start(self) -> None:
        """Start it; fail with its log if it does not answer."""
        try:
            self.server.start()
        except TimeoutError as error:
            log = (self.server.datadir.parent / "server.log").read_text()
            error.add_note(log[-4000:])
            raise

    def status(self, name: str) -> str:
        """Return one of the server's status variables."""
        lines = self.run(f"SHOW GLOBAL STATUS LIKE '{name}'").split()
        return lines[-1] if lines else ""

    def run(self, statement: str) -> str:
        """Have root run a statement on this node itself."""
        url = self.server.url
        command = [
            "mariadb",
            *("--no-defaults", "--protocol=tcp", "--batch", "--skip-column-names"),
            *(f"--host={url.host}", f"--port={url.port}", f"--user={url.username}"),
            *(f"--password={url.password}", "--execute", statement),
        ]
        return subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=20
        ).stdout

    @property
    def is_in_sync(self) -> bool:
        try:
            return self.status("wsrep_local_state") == "4"
        except subprocess.SubprocessError:
            return False

    def isolate(self, *, isolated: bool) -> None:
        """Have the others neither hear it nor be heard, or again."""
        option = f"gmcast.isolate={int(isolated)}"
        self.run(f"SET GLOBAL wsrep_provider_options='{option}'")


@dataclass
class Galera:
    """The cluster, and the one address before it."""

    nodes: list[Node]
    port: int

    @property
    def url(self) -> URL:
        """Where HAProxy listens."""
        return self.nodes[0].server.url.set(port=self.port)

    def until_in_sync(self, count: int, seconds: float = _START_SECONDS) -> None:
        """Wait until so many nodes are in sync."""
        deadline = time.monotonic() + seconds
        running = [node for node in self.nodes if node.server.is_running]
        while sum(node.is_in_sync for node in running) != count:
            assert time.monotonic() < deadline, "the nodes did not find together"
            time.sleep(0.2)


@contextlib.contextmanager
def galera() -> Iterator[Galera]:
    """Run three nodes and HAProxy; skip where one of the programs is missing."""
    for program in ("mariadbd", "haproxy", "rsync"):
        if shutil.which(program) is None:
            skip_missing(f"{program} is not installed")
    if not _PROVIDER.exists():
        skip_missing("galera-4 is not installed")
    with tempfile.TemporaryDirectory(prefix="galera-") as name:
        Path(name).chmod(0o755)
        yield from _running([_node(Path(name, f"node-{n}")) for n in range(3)])


def _running(nodes: list[Node]) -> Iterator[Galera]:
    together = ",".join(f"127.0.0.1:{node.group_port}" for node in nodes)
    [port] = free_ports(1)
    cluster, balancer = Galera(nodes, port), None
    try:
        for number, node in enumerate(nodes):
            node.server.options = _options(node, together)
            first = ("--wsrep-new-cluster",) if number == 0 else ()
            node.server.options += first
            node.start()
            node.server.options = tuple(
                option for option in node.server.options if option not in first
            )
            cluster.until_in_sync(number + 1)
        nodes[0].run("CREATE USER haproxy@'%'; CREATE USER haproxy@localhost")
        balancer = _balancer(nodes, port)
        yield cluster
    finally:
        if balancer is not None:
            balancer.terminate()
            balancer.wait()
        for node in nodes:
            node.server.kill()


def _node(folder: Path) -> Node:
    folder.mkdir()
    server = create_server(folder)
    assert server is not None
    if os.getuid() == 0:  # rsync, which copies a node, does not work as root
        server.user = "mysql"
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, "mysql", "mysql")
    group, incremental, state = free_ports(3)
    return Node(server, group, (incremental, state))


def _options(node: Node, together: str) -> tuple[str, ...]:
    deployed = (_DEPLOY / "node.cnf").read_text()
    given = dict(re.findall(r"^(\w+) = \"?([^\"\n]*)\"?$", deployed, re.MULTILINE))
    incremental, state = node.transfer_ports
    given["wsrep_provider_options"] += (
        f";gmcast.listen_addr=tcp://127.0.0.1:{node.group_port}"
        f";ist.recv_addr=127.0.0.1:{incremental};base_port={node.group_port}"
    )
    given |= {
        "wsrep_cluster_address": f"gcomm://{together}",
        "wsrep_node_address": f"127.0.0.1:{node.group_port}",
        "wsrep_sst_receive_address": f"127.0.0.1:{state}",
        "log_error": str(node.server.datadir.parent / "server.log"),
    }
    return tuple(f"--{name.replace('_', '-')}={text}" for name, text in given.items())


def _balancer(nodes: list[Node], port: int) -> subprocess.Popen[bytes]:
    addresses = {
        f"GALERA_{number}": f"127.0.0.1:{node.server.port}"
        for number, node in enumerate(nodes, start=1)
    }
    process = subprocess.Popen(
        ["haproxy", "-db", "-f", _DEPLOY / "haproxy.cfg"],
        env=os.environ | addresses | {"GALERA_LISTEN": f"127.0.0.1:{port}"},
    )
    deadline = time.monotonic() + _START_SECONDS
    while not Node(_as_server(nodes[0], port), 0, (0, 0)).is_in_sync:
        assert process.poll() is None, "haproxy did not start"
        assert time.monotonic() < deadline, "haproxy finds no node"
        time.sleep(0.1)
    return process


def _as_server(node: Node, port: int) -> DatabaseServer:
    return DatabaseServer(node.server.program, node.server.datadir, port)
