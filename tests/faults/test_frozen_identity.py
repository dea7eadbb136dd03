"""A replica of identity freezes while sessions are refreshed through the gateway."""

import signal
import threading
import time
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Final

import pytest
from tests.faults.figures import BOTH, Figures, tell
from tests.support.cluster import Cluster, two_of_each
from tests.support.database import DatabaseServer
from tests.support.requests import send

SESSIONS: Final = 6
PAUSE_SECONDS: Final = 0.2


@pytest.fixture
def replicas(tmp_path: Path, database_server: DatabaseServer) -> Iterator[Cluster]:
    with two_of_each(database_server.url, tmp_path, {}) as cluster:
        yield cluster


class Client(threading.Thread):
    """Refreshes its session again and again, and tries anew what failed."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(daemon=True)
        name, password = cluster.new_user()
        pair = cluster.post("/api/auth/signin", username=name, password=password)
        self.token = pair["refreshToken"]
        self.refused: list[bytes] = []
        self.refreshed = self.failed = 0
        self.over = threading.Event()
        self._port = cluster.gateway.port

    def run(self) -> None:
        while not self.over.wait(PAUSE_SECONDS):
            self.refresh()

    def refresh(self) -> None:
        members = {"refreshToken": self.token}
        try:
            response = send(
                self._port, "POST", "/api/auth/refreshtoken", members, timeout=20
            )
        except (OSError, HTTPException):
            self.failed += 1
            return
        if response.status == 200:
            self.token = response.json()["refreshToken"]
            self.refreshed += 1
        elif response.status >= 500:
            self.failed += 1
        else:
            self.refused.append(response.body)


@pytest.mark.parametrize("figures", BOTH)
def test_a_replica_that_freezes_ends_no_session(
    replicas: Cluster, figures: Figures
) -> None:
    clients = [Client(replicas) for _ in range(SESSIONS)]
    victim = replicas.identities[1]
    for client in clients:
        client.start()
    for _ in range(2):
        time.sleep(1 + figures.warm)
        victim.send(signal.SIGSTOP)
        time.sleep(figures.fault)
        victim.send(signal.SIGCONT)
        time.sleep(1 + figures.recovery)
    for client in clients:
        client.over.set()
    for client in clients:
        client.join(30)

    tell(*((each.refreshed, each.failed) for each in clients))
    for client in clients:
        assert not client.refused, client.refused
        assert client.refreshed > 3
        client.refresh()
        assert not client.refused, client.refused
