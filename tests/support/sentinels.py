"""A Valkey (or Redis), its replica, and three Sentinels that watch them."""

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import valkey
from tests.support.ports import free_ports
from tests.support.valkey import ValkeyServer, valkey_program

SERVICE: Final = "counters"
PASSWORD: Final = "of-the-counters"

_START_SECONDS: Final = 20

_SENTINEL: Final = """
port {port}
bind 127.0.0.1
dir {folder}
sentinel monitor {service} 127.0.0.1 {master} 2
sentinel auth-pass {service} {password}
sentinel down-after-milliseconds {service} 500
sentinel failover-timeout {service} 3000
"""


@dataclass
class Watched:
    """Two servers, of which one is the master at a time."""

    servers: list[ValkeyServer]
    sentinel_ports: list[int]

    @property
    def url(self) -> str:
        """What names them to a service."""
        places = ",".join(f"127.0.0.1:{port}" for port in self.sentinel_ports)
        return f"valkey+sentinel://:{PASSWORD}@{places}/{SERVICE}"


@contextlib.contextmanager
def watched_valkey(folder: Path) -> Iterator[Watched]:
    """Run them until the block ends; skip where no server is installed."""
    program = valkey_program()
    first, second, *sentinel_ports = free_ports(5)
    secret = (
        *("--requirepass", PASSWORD, "--masterauth", PASSWORD),
        *("--repl-diskless-sync-delay", "0"),
    )
    master = ValkeyServer(program, folder, first, options=secret)
    follows = ("--replicaof", f"127.0.0.1 {first}")
    replica = ValkeyServer(program, folder, second, options=(*secret, *follows))
    sentinels: list[subprocess.Popen[bytes]] = []
    try:
        master.start()
        replica.start()
        for port in sentinel_ports:
            config = folder / f"sentinel-{port}.conf"
            config.write_text(
                _SENTINEL.format(
                    port=port,
                    folder=folder,
                    service=SERVICE,
                    master=first,
                    password=PASSWORD,
                )
            )
            command = [program, str(config), "--sentinel"]
            sentinels.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
        _until_they_know_each_other(folder, sentinel_ports)
        with valkey.Valkey(port=second, password=PASSWORD) as client:
            _until(lambda: client.info("replication")["master_link_status"] == "up")
        yield Watched([master, replica], sentinel_ports)
    finally:
        for each in sentinels:
            each.kill()
            each.wait()
        master.kill()
        replica.kill()


def _until_they_know_each_other(folder: Path, ports: list[int]) -> None:
    """Wait for what a Sentinel writes to its file: the replica, and its fellows."""
    files = [folder / f"sentinel-{port}.conf" for port in ports]

    def know_all() -> bool:
        texts = [file.read_text() for file in files]
        return all(
            text.count("known-sentinel") == len(ports) - 1 and "known-replica" in text
            for text in texts
        )

    _until(know_all)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not condition():
        assert time.monotonic() < deadline, (
            "servers and Sentinels did not find together"
        )
        time.sleep(0.1)
