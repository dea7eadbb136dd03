"""Send requests at a constant rate, whatever the responses do.

Each latency counts from when its request was due, so a server that stalls cannot keep
the load from noticing (no coordinated omission). A closed loop, which wrk has, is for
capacity alone.
"""

import argparse
import asyncio
import json
import re
import sys
import time
from collections import deque
from pathlib import Path
from typing import Final, cast

import uvloop

_TICK: Final = 0.0005
"""Seconds between two looks at what is due: latencies are too long by half of it."""

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_HEAD_END: Final = b"\r\n\r\n"


class Connection(asyncio.Protocol):
    """Sends one request at a time."""

    _transport: asyncio.Transport

    def __init__(self, load: "SteadyLoad") -> None:
        self._load = load
        self._due_at = 0.0
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._load.idle.append(self)

    def send(self, request: bytes, due_at: float) -> None:
        self._due_at = due_at
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(_HEAD_END)
        length = _LENGTH.search(self._received, 0, end) if end >= 0 else None
        if length is None or len(self._received) < end + 4 + int(length[1]):
            return
        self._load.responded(self._received[9:10] == b"2", self._due_at)
        self._received = b""
        self._load.idle.append(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        self._load.lost += 1


class SteadyLoad:
    """Has requests due at even distances."""

    def __init__(self, requests: list[bytes], rate: float, seconds: float) -> None:
        self.idle: deque[Connection] = deque()
        self.lost = 0
        self._requests = requests
        self._rate = rate
        self._seconds = seconds
        self._latencies: list[float] = []
        self._failed = 0

    def responded(self, is_good: bool, due_at: float) -> None:  # noqa: FBT001
        self._failed += not is_good
        self._latencies.append(time.monotonic() - due_at)

    async def run(self, host: str, port: int, connections: int) -> dict[str, float]:
        """Return percentiles in milliseconds, and what was sent and what failed."""
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            await loop.create_connection(lambda: Connection(self), host, port)
        started_at, sent = time.monotonic(), 0
        total = int(self._rate * self._seconds)
        while sent < total:
            due = min(total, int((time.monotonic() - started_at) * self._rate))
            while sent < due and self.idle:
                request = self._requests[sent % len(self._requests)]
                self.idle.popleft().send(request, started_at + sent / self._rate)
                sent += 1
            await asyncio.sleep(_TICK)
            if time.monotonic() > started_at + 2 * self._seconds + 5:
                break
        await asyncio.sleep(0.5)
        found = sorted(self._latencies)
        at = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
        return {
            "sent": sent,
            "failed": self._failed + self.lost + sent - len(found),
            **{
                name: 1e3 * found[min(len(found) - 1, int(part * len(found)))]
                for name, part in at.items()
            },
        }


def main() -> None:
    """Read requests from a file, one after an empty line each, and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("requests", type=Path, help="a JSON list of requests")
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--connections", type=int, default=64)
    chosen = parser.parse_args()
    requests = [each.encode() for each in json.loads(chosen.requests.read_text())]
    load = SteadyLoad(requests, chosen.rate, chosen.seconds)
    found = uvloop.run(load.run("127.0.0.1", chosen.port, chosen.connections))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
