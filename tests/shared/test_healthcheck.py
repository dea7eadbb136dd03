"""What the engine asks each container every two seconds."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socket import create_server

import pytest
from tests.support.ports import free_ports

from service_kit.healthcheck import answers_ok


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """Answer one connection, whatever it says, and yield where."""
    with create_server(("127.0.0.1", 0)) as server:

        def answer_once() -> None:
            connection, _ = server.accept()
            with connection:
                assert connection.recv(1024).startswith(b"GET /readyz HTTP/1.1\r\n")
                connection.sendall(answer)

        thread = threading.Thread(target=answer_once)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/readyz"
        thread.join()


@pytest.mark.parametrize(
    ("answer", "is_ok"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n", True),
        (b"HTTP/1.0 200\r\n\r\n", True),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", False),
        (b"HTTP/1.1 2000 OK\r\n\r\n", False),
        (b"SSH-2.0-OpenSSH 200 \r\n", False),
        (b"", False),
    ],
)
def test_only_200_is_well(answer: bytes, *, is_ok: bool) -> None:
    with answering(answer) as url:
        assert answers_ok(url) is is_ok


def test_who_takes_too_long_is_not_well_however_little_it_says_at_once() -> None:
    with create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                for byte in b"HTTP/1.1 200 OK\r\n":
                    connection.sendall(bytes((byte,)))
                    time.sleep(0.1)

        thread = threading.Thread(target=drip)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/readyz"
        assert not answers_ok(url, within=0.5)
        thread.join()


def test_nobody_there_is_not_well() -> None:
    [port] = free_ports(1)
    assert not answers_ok(f"http://127.0.0.1:{port}/readyz")


def test_it_costs_little() -> None:
    code = "import sys, service_kit.healthcheck; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    assert not {"http.client", "ssl", "email", "asyncio"} & set(ran.stdout.split())
