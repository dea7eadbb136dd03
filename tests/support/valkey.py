"""A Valkey server of the test's own."""

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from tests.support.missing import skip_missing
from tests.support.ports import free_ports

_START_SECONDS: Final = 20


@dataclass
class ValkeyServer:
    """A Valkey (or Redis) server on loopback that keeps nothing on disk."""

    program: str
    folder: Path
    port: int
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"valkey://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, empty, and wait until it accepts connections."""
        self.process = subprocess.Popen(
            [
                self.program,
                *("--bind", "127.0.0.1"),
                *("--port", str(self.port)),
                *("--dir", str(self.folder)),
                *("--save", ""),
                *("--appendonly", "no"),
                *self.options,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _START_SECONDS
        while not self._accepts():
            if time.monotonic() > deadline:
                raise TimeoutError("the Valkey server did not start")
            time.sleep(0.02)

    def stop(self) -> None:
        """Freeze it: connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it without a word to its clients."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def _accepts(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1):
                return True
        except OSError:
            return False


def valkey_program() -> str:
    """Return the server's program; skip where none is installed."""
    program = shutil.which("valkey-server") or shutil.which("redis-server")
    if program is None:
        skip_missing("neither valkey-server nor redis-server is installed")
    return program


@pytest.fixture
def valkey_server(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A running server; skip where none is installed."""
    server = ValkeyServer(valkey_program(), tmp_path, free_ports(1)[0])
    try:
        server.start()
        yield server
    finally:
        server.kill()
