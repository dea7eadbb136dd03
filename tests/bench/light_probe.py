"""Time light requests: ``python -m tests.bench.light_probe SECONDS URL…``.

A process of its own, without an event loop: in the process that makes the load, it
would time how long that one keeps it waiting. Prints the seconds of each request, by
URL, and the CPU time that all of it took, as JSON.
"""

import http.client
import json
import sys
import time
from typing import Final
from urllib.parse import urlsplit

_PAUSE: Final = 0.1
"""Seconds; a shorter one would itself take a percent from what it measures."""


def main() -> None:
    """Time the URLs one after the other, for a while."""
    over_at = time.monotonic() + float(sys.argv[1])
    timings: dict[str, list[float]] = {url: [] for url in sys.argv[2:]}
    connections = {
        url: http.client.HTTPConnection(urlsplit(url).netloc) for url in timings
    }
    while time.monotonic() < over_at:
        for url, connection in connections.items():
            started_at = time.monotonic()
            connection.request("GET", urlsplit(url).path)
            answer = connection.getresponse()
            answer.read()
            timings[url].append(time.monotonic() - started_at)
            assert answer.status == 200
        time.sleep(_PAUSE)
    json.dump({"timings": timings, "cpu_seconds": time.process_time()}, sys.stdout)


if __name__ == "__main__":
    main()
