"""Identity on a MariaDB Galera cluster behind HAProxy, as docs/scaling.md has it."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from aiohttp import ClientSession
from tests.faults.figures import tell
from tests.support.cluster import Cluster, check_logs
from tests.support.database import DatabaseServer
from tests.support.fault_rows import row, verdict
from tests.support.galera import Galera, Node, galera
from tests.support.traffic import CONTENT, IDENTITY, OK, Rates, Traffic

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

LONGEST_LOSS: Final = 3.0
"""Seconds of 503 that the loss of a node may cost."""

WARM_SECONDS: Final = 3.0
RECOVERY_SECONDS: Final = 8.0
CONFLICTS: Final = ("wsrep_local_cert_failures", "wsrep_local_bf_aborts")


@pytest.fixture(scope="module")
def running_galera() -> Iterator[Galera]:
    with galera() as cluster:
        yield cluster


@pytest.fixture
def database(running_galera: Galera) -> Iterator[Galera]:
    """The cluster with all of its nodes, and an empty database."""
    running_galera.nodes[0].run(
        "DROP DATABASE IF EXISTS identity;"
        " CREATE DATABASE identity CHARACTER SET utf8mb4"
    )
    yield running_galera
    for node in running_galera.nodes:
        if not node.server.is_running:
            node.start()
        elif not node.is_in_sync:
            node.isolate(isolated=False)
    running_galera.until_in_sync(3)


def url_of(server: DatabaseServer) -> str:
    named = server.url.set(database="identity")
    return named.render_as_string(hide_password=False)


def killed(node: Node) -> None:
    node.server.kill()


def cut_off(node: Node) -> None:
    node.isolate(isolated=True)


@pytest.mark.parametrize("lose", [killed, cut_off])
async def test_a_lost_node_costs_three_seconds_and_no_write(
    database: Galera, tmp_path: Path, lose: Callable[[Node], None]
) -> None:
    url = database.url.set(database="identity").render_as_string(hide_password=False)
    with Cluster(tmp_path, content=1, identities=2, database_url=url) as cluster:
        base_url = f"http://127.0.0.1:{cluster.gateway.port}"
        async with Traffic(base_url, Rates(newcomers=10)) as traffic:
            await asyncio.sleep(WARM_SECONDS)
            await asyncio.to_thread(lose, database.nodes[0])
            await asyncio.sleep(RECOVERY_SECONDS)
            await traffic.stop()
            losses = await traffic.losses()

    requests = [each for each in traffic.requests if each.service == IDENTITY]
    failed = [each for each in requests if each.outcome != OK]
    ends = [each.began_at + each.seconds for each in failed]
    lost = max(ends) - min(each.began_at for each in failed) if failed else 0.0
    outcomes = Counter(each.outcome for each in failed)
    broken = [*losses, *verdict(traffic.requests, {IDENTITY: LONGEST_LOSS})]
    name = f"Galera's writing node {lose.__name__}".replace("_", " ")
    tell(row(name, RECOVERY_SECONDS, traffic.requests, broken), f"{lost:.1f} s")
    assert not losses
    assert all(outcome.startswith("status 503") for outcome in outcomes)
    assert lost <= LONGEST_LOSS
    content = [each for each in traffic.requests if each.service == CONTENT]
    assert len(content) > 100
    assert all(each.outcome == OK for each in content)
    check_logs(tmp_path, cluster.secrets)


async def test_conflicts_of_two_writing_nodes_are_done_again(
    database: Galera, tmp_path: Path
) -> None:
    urls = [url_of(node.server) for node in database.nodes[:2]]
    before = conflicts(database)
    with Cluster(tmp_path, content=1, identities=2, database_url=urls[0]) as cluster:
        other = cluster.identities[1]
        other.stop()
        other.environment["IDENTITY_DATABASE_URL"] = urls[1]
        other.start()
        other.until_ready()
        ports = [each.port for each in cluster.identities]
        async with ClientSession() as http:
            outcomes = await asyncio.gather(
                *(signed_up(http, port) for port in ports for _ in range(6))
            )
    acknowledged = [name for names, _ in outcomes for name in names]
    statuses = sum((each for _, each in outcomes), Counter[int]())
    met = conflicts(database) - before
    tell(statuses, f"{met} conflicts")

    assert met > 0, "nothing was tried"
    assert set(statuses) <= {200, 503}
    assert statuses[200] >= 0.9 * statuses.total()
    for node in database.nodes:
        select = "SET SESSION wsrep_sync_wait = 1; SELECT username FROM identity.users"
        found = await asyncio.to_thread(node.run, select)
        names = found.split()
        assert len(set(names)) == len(names)
        assert set(acknowledged) <= set(names)


async def signed_up(http: ClientSession, port: int) -> tuple[list[str], Counter[int]]:
    """Sign people up one after the other; return who was told so, and all statuses."""
    names, statuses = [], Counter[int]()
    for _ in range(20):
        name = f"person-{secrets.token_hex(6)}"
        body = {
            "username": name,
            "email": f"{name}@example.org",
            "password": secrets.token_urlsafe(18),
        }
        url = f"http://127.0.0.1:{port}/api/auth/signup"
        async with http.post(url, json=body) as response:
            statuses[response.status] += 1
        if response.status == 200:
            names.append(name)
    return names, statuses


def conflicts(database: Galera) -> int:
    return sum(
        int(node.status(name)) for node in database.nodes[:2] for name in CONFLICTS
    )
