"""Count the instructions of a request: ``python -m tests.bench.instructions``.

Valgrind counts what the gateway's process executes outside of the system, for one
small GET with browser-size headers, all policies and the access log. Other work on the
machine changes nothing in it, so it shows what a step gained where a clock shows noise.
Another tree or build is measured with `PYTHONPATH`.
"""

import argparse
import contextlib
import http.client
import re
import secrets
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from tests.bench.gateway_bench import (
    BROWSER_HEADERS,
    SERVE,
    WORKS,
    Bench,
    running,
    say,
)
from tests.support.ports import free_ports

_WARM_UP: Final = 300
_IDLE_SECONDS: Final = 4.0
_TOTAL: Final = re.compile(r"^(?:summary|totals): (\d+)", re.MULTILINE)


class Count(NamedTuple):
    """What Valgrind counted, and how long that took."""

    total: int
    seconds: float


def _control(pid: int, *words: str) -> None:
    subprocess.run(
        ["callgrind_control", *words, str(pid)], check=True, capture_output=True
    )


def _send(port: int, count: int, tokens: Sequence[str]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        for number in range(count):
            headers = {**BROWSER_HEADERS, "x-access-token": tokens[number]}
            connection.request("GET", WORKS["small"].path, headers=headers)
            response = connection.getresponse()
            response.read()
            if response.status != http.HTTPStatus.OK:
                raise SystemExit(f"the gateway responded {response.status}")


@contextlib.contextmanager
def _gateway(folder: Path) -> Iterator[tuple[int, int]]:
    """Run the gateway under callgrind; yield its process and its port."""
    upstream_port, port, internal_port = free_ports(3)
    bench = Bench(folder, upstream_port)
    nginx = ["nginx", "-c", bench.filled_in("upstream.conf", upstream_port)]
    valgrind = (
        *("valgrind", "--tool=callgrind", "--instr-atstart=no"),
        f"--callgrind-out-file={folder}/instructions",
    )
    environ = bench.environ(port, internal_port)
    with (
        running("upstream", nginx, upstream_port, "1"),
        running("gateway", (*valgrind, *SERVE), port, **environ) as gateway,
    ):
        yield gateway.process.pid, port


def _counted(pid: int, folder: Path, work: Callable[[], object]) -> Count:
    """Count while some work is done."""
    before = set(folder.glob("instructions*"))
    began_at = time.monotonic()
    _control(pid, "-i", "on")
    work()
    _control(pid, "-i", "off")
    seconds = time.monotonic() - began_at
    _control(pid, "-d")
    time.sleep(1)  # until it is written
    dumps = set(folder.glob("instructions*")) - before
    totals = [int(n) for dump in dumps for n in _TOTAL.findall(dump.read_text())]
    return Count(max(totals, default=0), seconds)


def measure(requests: int) -> float:
    """Return how many instructions a request takes.

    What the gateway does at intervals is not counted: Valgrind makes them short.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokens = [secrets.token_urlsafe(560) for _ in range(requests)]
        with _gateway(folder) as (pid, port):
            _send(port, min(_WARM_UP, requests), tokens)
            busy = _counted(pid, folder, partial(_send, port, requests, tokens))
            idle = _counted(pid, folder, partial(time.sleep, _IDLE_SECONDS))
        return (busy.total - idle.total / idle.seconds * busy.seconds) / requests


def main() -> None:
    """Read the command line and count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000)
    say(f"{measure(parser.parse_args().requests):,.0f} instructions a request")


if __name__ == "__main__":
    main()
