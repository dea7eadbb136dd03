"""How the gateway's cost grows, drawn: ``python -m tests.bench.curves``.

Processor time of a request over the number of connections, header bytes, routes and
replicas, beside nginx and Envoy where these apply, and the latency at a constant rate,
which takes Go. It takes a quarter of an hour; the pictures are in docs/figures.
"""

import argparse
import contextlib
import json
import os
import re
import secrets
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.bench.charts import show
from tests.bench.gateway_bench import (
    BROWSER_HEADERS,
    LOAD_CORE,
    SERVE,
    WORKS,
    Bench,
    Server,
    builds,
    load,
    running,
    say,
    write_script,
)
from tests.support.ports import free_ports

_CONNECTIONS: Final = (1, 8, 32, 128, 512, 2_000, 5_000)
_HEADER_BYTES: Final = (250, 500, 1_000, 2_000, 4_000, 7_000)
_ROUTES: Final = (1, 10, 100, 1_000)
_REPLICAS: Final = (1, 2, 5, 10, 20, 50)

_TOKENS: Final = 1_000
_SECONDS: Final = 1
_CONNECTIONS_A_SECOND: Final = 2_500
"""A run lasts a second longer for each of these."""
_LONGER: Final = 3
"""Seconds by which the second run of two is longer; their difference is what counts.

So opening the connections is not measured.
"""
_ROUNDS: Final = 3
_LINE: Final = 100
"""Bytes of a header line that fills a head up."""

_CAPACITY: Final = 0.7
"""The part of its capacity at which a server's latency is measured."""

_ROOM: Final = f'concurrency = "off"\nidle_connections = {max(_CONNECTIONS)}'
"""Of the upstream: its bounds are not what is measured.

Of 20,000 descriptors these leave one client, who may have half, 7,000 connections.
A large `max_in_flight` would leave it less than 5,000, and lets it have half, too.
"""
_PATIENCE: Final = "[timeouts]\nconnect = 30\n"
"""Thousands of connections are opened at once, which takes a busy machine a second."""

_Y: Final = "CPU µs a request"


class Curves:
    """Runs servers in front of one upstream, and loads them."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self._folder = folder
        self._ports = free_ports(max(_REPLICAS))
        self._bench = Bench(folder, self._ports[0])
        self._tokens = [secrets.token_urlsafe(560) for _ in range(_TOKENS)]
        path = Path(self._bench.filled_in("upstream.conf", self._ports[0]))
        listens = "".join(f"listen 127.0.0.1:{port};\n" for port in self._ports[1:])
        text = path.read_text().replace("location / {", f"{listens}location / {{", 1)
        path.write_text(text)
        command = ["nginx", "-c", str(path)]
        stack.enter_context(running("upstream", command, self._ports[0], LOAD_CORE))

    @contextlib.contextmanager
    def gateway(
        self, name: str = "gateway", *, routes: int = 1, replicas: int = 1
    ) -> Iterator[Server]:
        """Run our gateway with a configuration of some size."""
        port, internal_port = free_ports(2)
        environ = self._bench.environ(port, internal_port)
        path = Path(environ["GATEWAY_CONFIG"])
        text = re.sub(r"(addresses = .*)", rf"\1\n{_ROOM}", path.read_text())
        text += f"{_PATIENCE}[limits]\nconnections_per_client = 10000\n"
        for number in range(routes - 1):
            text += f'[[routes]]\nprefix = "/other/{number}"\nupstream = "content"\n'
        path.write_text(text)
        environ["GATEWAY_UPSTREAM_CONTENT"] = ",".join(
            f"http://127.0.0.1:{each}" for each in self._ports[:replicas]
        )
        environ["PYTHONPATH"] = builds()[name]
        with running(name, SERVE, port, **environ) as found:
            yield found

    @contextlib.contextmanager
    def all(self) -> Iterator[list[Server]]:
        """Run our gateway and its peers."""
        with contextlib.ExitStack() as stack:
            found = [stack.enter_context(self.gateway(name)) for name in builds()]
            commands = self._bench.commands()
            for name in ("nginx", "Envoy"):
                [port] = free_ports(1)
                command = commands[name](port)
                if shutil.which(command[0]) is None:
                    say(f"{name} is left out: {command[0]} is not installed")
                    continue
                found.append(stack.enter_context(running(name, command, port)))
            yield found

    def cost(
        self, gateways: Sequence[Server], connections: int = 32, filler: int = 0
    ) -> list[float]:
        """Return what a request costs each of them: the median of a few rounds."""
        lines = {f"X-Filler-{n}": "f" * (_LINE - 15) for n in range(filler // _LINE)}
        work = WORKS["small"]._replace(connections=connections)
        seconds = _SECONDS + connections // _CONNECTIONS_A_SECOND
        script = write_script(
            self._folder / "curve", work, self._tokens, {**BROWSER_HEADERS, **lines}
        )
        for each in gateways:
            load(each, work, script, seconds)
        costs: dict[str, list[float]] = {each.name: [] for each in gateways}
        for _ in range(_ROUNDS):
            for each in gateways:
                short = load(each, work, script, seconds)
                long = load(each, work, script, seconds + _LONGER)
                used = long.cpu_seconds - short.cpu_seconds
                costs[each.name].append(used / (long.requests - short.requests) * 1e6)
        return [statistics.median(each) for each in costs.values()]

    def steady(self, program: Path, gateway: Server) -> dict[str, float]:
        """Return the latencies at a constant part of a server's capacity, in ms."""
        work, lines = WORKS["small"], [f"{k}: {v}" for k, v in BROWSER_HEADERS.items()]
        script = write_script(self._folder / "steady", work, self._tokens)
        capacity = load(gateway, work, script, _SECONDS).per_second
        start = f"GET {work.path} HTTP/1.1"
        requests = [
            "\r\n".join([start, "Host: a", f"x-access-token: {token}", *lines, "", ""])
            for token in self._tokens
        ]
        path = self._folder / "requests.json"
        path.write_text(json.dumps(requests))
        found = subprocess.run(
            [
                *("taskset", "-c", LOAD_CORE, program, "-requests", path),
                *("-address", f"127.0.0.1:{gateway.port}"),
                *("-rate", f"{capacity * _CAPACITY:.0f}"),
            ],
            check=True,
            capture_output=True,
            text=True,
        )
        latencies: dict[str, float] = json.loads(found.stdout)
        return latencies


def _by_name(
    gateways: Sequence[Server], rows: Sequence[Sequence[float]]
) -> dict[str, list[float | None]]:
    """Return each server's costs, point by point."""
    return {each.name: [row[at] for row in rows] for at, each in enumerate(gateways)}


def beside_peers(curves: Curves) -> None:
    """Draw the cost over connections and header bytes."""
    with curves.all() as found:
        rows = [curves.cost(found, connections=each) for each in _CONNECTIONS]
        costs = _by_name(found, rows)
        x: tuple[str, Sequence[object]] = "connections", _CONNECTIONS
        show("gateway-connections", "Cost by connections", x, _Y, costs)
        rows = [curves.cost(found, filler=each) for each in _HEADER_BYTES]
        x = "header bytes beyond a browser's", _HEADER_BYTES
        show("gateway-headers", "Cost by header bytes", x, _Y, _by_name(found, rows))


def steady(curves: Curves) -> None:
    """Say the latencies at a constant rate: the medians of a few rounds."""
    with tempfile.TemporaryDirectory() as folder, curves.all() as found:
        program = _steady_load(Path(folder))
        if program is None:
            return
        runs: dict[str, list[dict[str, float]]] = {each.name: [] for each in found}
        for _ in range(_ROUNDS):
            for each in found:
                runs[each.name].append(curves.steady(program, each))
        for name, latencies in runs.items():
            text = ", ".join(
                f"{key} {statistics.median(each[key] for each in latencies):.2f}"
                for key in latencies[0]
            )
            say(f"{name:18} at {_CAPACITY:.0%} of capacity, ms: {text}")


def _steady_load(folder: Path) -> Path | None:
    """Return the load generator, built; None where Go is not installed."""
    if shutil.which("go") is None:
        say("latencies at a constant rate are left out: go is not installed")
        return None
    program = folder / "steady_load"
    source = Path(__file__).with_name("steady_load.go")
    environ = {**os.environ, "GO111MODULE": "off", "GOCACHE": str(folder / "cache")}
    subprocess.run(["go", "build", "-o", program, source], env=environ, check=True)
    return program


def alone(curves: Curves) -> None:
    """Draw the cost over the size of the configuration."""
    for name, points in (("routes", _ROUTES), ("replicas", _REPLICAS)):
        costs: list[float | None] = []
        for number in points:
            routes = number if name == "routes" else 1
            replicas = number if name == "replicas" else 1
            with curves.gateway(routes=routes, replicas=replicas) as gateway:
                costs += curves.cost([gateway])
        x = name, points
        show(f"gateway-{name}", f"Cost by {name}", x, _Y, {"gateway": costs})


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, measure and draw."""
    parts: dict[str, Callable[[Curves], None]] = {
        "peers": beside_peers,
        "steady": steady,
        "alone": alone,
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=parts, default=list(parts))
    chosen = parser.parse_args(arguments)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        curves = Curves(folder, stack)
        for part in chosen.parts:
            parts[part](curves)


if __name__ == "__main__":
    main()
