"""How the gateway compares with its peers: ``python -m tests.bench.gateway_bench``.

Each gateway has one core; the load generator and a tiny upstream have the other. Runs
are interleaved, and what counts is the ratio within a round. Requests a second and the
processor time of a request are printed; other work on the machine disturbs the latter
less. Peers that are not installed are left out and named. The peers run bare, without
access log; the gateway runs with all its policies and its access log in a file.
"""

import argparse
import contextlib
import os
import re
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tests.support.memory import pss_mib
from tests.support.ports import free_ports
from tests.support.processor import cpu_seconds

GATEWAY_CORE, LOAD_CORE = "0", "1"
SERVE: Final = (sys.executable, "-m", "gateway_service", "serve")
PEERS: Final = Path(__file__).parent / "gateway_peers"
_MEBIBYTE: Final = 1_048_576
_OURS: Final = "gateway"
_COMPILED: Final = "compiled"
_PACKAGES: Final = Path(__file__).parents[2] / ".local" / "compiled" / "packages"
"""Where `make compile` puts what it builds."""
_PATIENCE: Final = "30s"
"""Of the load generator, which takes what is later for an error."""
_TOKENS: Final = 10_000
_TOKEN_BYTES: Final = 560
"""As long as an access token signed with RSA-3072."""

BROWSER_HEADERS: Final = {
    "Accept": "application/json, text/plain, */*",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "en-GB,en;q=0.9,de;q=0.8",
    "Origin": "http://localhost:8081",
    "Referer": "http://localhost:8081/",
    "Sec-Fetch-Dest": "empty",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Site": "same-site",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101",
}

_LUA: Final = """
local requests, at = {}, 0
local body = %s
function init(_)
  for token in io.lines("%s") do
    local headers = {["x-access-token"] = token, %s}
    requests[#requests + 1] = wrk.format("%s", "%s", headers, body)
    if body and #requests == 16 then break end
  end
end
function request() at = at %% #requests + 1; return requests[at] end
"""


class Work(NamedTuple):
    """What clients ask for."""

    name: str
    method: str
    path: str
    body: str
    connections: int


WORKS: Final = {
    "small": Work("GET, small body", "GET", "/api/test/user", "nil", 32),
    "down": Work("GET, 1 MiB", "GET", "/api/test/big", "nil", 16),
    "up": Work(
        "POST, 1 MiB", "POST", "/api/test/up", f"string.rep('x', {_MEBIBYTE})", 16
    ),
}


class Server(NamedTuple):
    """A server that runs."""

    name: str
    process: subprocess.Popen[bytes]
    port: int

    def cpu_seconds(self) -> float:
        """Return the processor time that it and its children have used."""
        return sum(map(cpu_seconds, _with_children(self.process.pid)))

    def pss_mib(self) -> float:
        """Return its share of memory."""
        return sum(map(pss_mib, _with_children(self.process.pid)))


def say(line: str) -> None:
    """Tell the person at the terminal."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _with_children(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in _with_children(int(child)))]


class Run(NamedTuple):
    """What one run of the load generator showed."""

    seconds: int
    requests: int
    cpu_seconds: float
    p99_milliseconds: float

    @property
    def per_second(self) -> float:
        """Return the rate of requests."""
        return self.requests / self.seconds

    @property
    def cpu_microseconds(self) -> float:
        """Return the server's processor time of a request."""
        return self.cpu_seconds / self.requests * 1e6


def load(gateway: Server, work: Work, script: Path, seconds: int) -> Run:
    """Load a gateway for a while; any answer but 2xx ends the measurement."""
    before = gateway.cpu_seconds()
    output = subprocess.run(
        [
            *("taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{work.connections}"),
            *(f"-d{seconds}s", "--timeout", _PATIENCE, "--latency", "-s", str(script)),
            f"http://127.0.0.1:{gateway.port}",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    used = gateway.cpu_seconds() - before
    requests = re.search(r"(\d+) requests in", output)
    latency = re.search(r"99%\s+([0-9.]+)(us|ms|s)", output)
    if requests is None or latency is None or re.search("Non-2xx|Socket err", output):
        raise SystemExit(f"{gateway.name} failed:\n{output}")
    count = max(1, int(requests[1]))
    unit = {"us": 1e-3, "ms": 1.0, "s": 1e3}[latency[2]]
    return Run(seconds, count, used, float(latency[1]) * unit)


class Bench:
    """Knows how to start each gateway in front of one upstream."""

    def __init__(self, folder: Path, upstream_port: int) -> None:
        self._folder = folder
        self._upstream = f"127.0.0.1:{upstream_port}"

    def filled_in(self, template: str, port: int, name: str = "") -> str:
        """Write a configuration for a port, and return its path."""
        host, _, upstream_port = self._upstream.partition(":")
        text = (PEERS / template).read_text()
        for word, value in (
            ("FOLDER", str(self._folder)),
            ("UPSTREAM_HOST", host),
            ("UPSTREAM_PORT", upstream_port),
            ("UPSTREAM", self._upstream),
            ("PORT", str(port)),
        ):
            text = text.replace(word, value)
        path = self._folder / (name or template)
        path.write_text(text)
        return str(path)

    def commands(self) -> dict[str, Callable[[int], list[str]]]:
        """Return how each peer is started, given its port."""
        envoy = os.environ.get("ENVOY", "envoy")
        node = PEERS / "node"

        def in_node(script: str) -> Callable[[int], list[str]]:
            program = "node" if (node / "node_modules").is_dir() else "node_modules"
            return lambda port: [program, str(node / script), str(port), self._upstream]

        return {
            "nginx": lambda port: ["nginx", "-c", self.filled_in("nginx.conf", port)],
            "HAProxy": lambda port: [
                *("haproxy", "-db", "-f", self.filled_in("haproxy.cfg", port))
            ],
            "Envoy": lambda port: [
                *(envoy, "-c", self.filled_in("envoy.yaml", port)),
                *("--concurrency", "1", "--log-level", "error"),
                *("--disable-hot-restart",),
            ],
            "fastify": in_node("fastify.mjs"),
            "http-proxy": in_node("http-proxy.mjs"),
        }

    def environ(self, port: int, internal_port: int, **others: str) -> dict[str, str]:
        """Return the settings of our own gateway."""
        return {
            "GATEWAY_CONFIG": self.filled_in("gateway.toml", port, f"{port}.toml"),
            "GATEWAY_PORT": str(port),
            "GATEWAY_INTERNAL_PORT": str(internal_port),
            "GATEWAY_UPSTREAM_CONTENT": f"http://{self._upstream}",
            "GATEWAY_ACCESS_LOG": str(self._folder / f"{port}.log"),
            "GATEWAY_DRAIN_DELAY": "0",
            **others,
        }

    def limit_rate(self, environ: dict[str, str]) -> dict[str, str]:
        """Add a rate limit that is never reached."""
        path = Path(environ["GATEWAY_CONFIG"])
        limit = "rate_limit = { requests = 1000000, seconds = 1 }"
        path.write_text(path.read_text().replace("#rate_limit", limit))
        return environ


@contextlib.contextmanager
def running(
    name: str,
    command: Sequence[str],
    port: int,
    core: str = GATEWAY_CORE,
    *,
    token: str = "",
    **environ: str,
) -> Iterator[Server]:
    """Run a server on a core, from its first answer on."""
    process = subprocess.Popen(
        ["taskset", "-c", core, *command],
        env={**os.environ, **environ},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(name, f"http://127.0.0.1:{port}/api/test/user", token)
        yield Server(name, process, port)
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(name: str, url: str, token: str) -> None:
    request = urllib.request.Request(url, headers={"x-access-token": token})
    for _ in range(300):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(request).close()
            return
        time.sleep(0.1)
    raise SystemExit(f"{name} does not answer")


def builds() -> dict[str, str]:
    """Return the Python path of our gateway as it is, and of its compiled build."""
    found = {_OURS: os.environ.get("PYTHONPATH", "")}
    if _PACKAGES.is_dir():
        found[_COMPILED] = str(_PACKAGES)
    else:
        say("the compiled build is left out: `make compile` makes it")
    return found


def gateways(
    bench: Bench, stack: contextlib.ExitStack, *, policies: bool
) -> list[Server]:
    """Start our gateway, and its peers or its variants."""
    found = []

    def ours(name: str, *, rate_limit: bool = False, **others: str) -> None:
        port, internal_port = free_ports(2)
        environ = bench.environ(port, internal_port, **others)
        if rate_limit:
            bench.limit_rate(environ)
        context = running(name, SERVE, port, **environ)
        found.append(stack.enter_context(context))

    for name, python_path in builds().items():
        ours(name, PYTHONPATH=python_path)
    if policies:
        ours("no access log", GATEWAY_ACCESS_LOG="off")
        ours("and a rate limit", rate_limit=True)
        return found
    for name, command_for in bench.commands().items():
        [port] = free_ports(1)
        command = command_for(port)
        if shutil.which(command[0]) is None:
            say(f"{name} is left out: {command[0]} is not installed")
            continue
        context = running(name, command, port)
        found.append(stack.enter_context(context))
    return found


def write_script(
    path: Path,
    work: Work,
    tokens: Sequence[str],
    others: Mapping[str, str] = BROWSER_HEADERS,
) -> Path:
    """Write what clients send: the other headers, and one token after the other."""
    listed = path.with_suffix(".tokens")
    listed.write_text("\n".join(tokens))
    headers = ", ".join(f'["{name}"] = "{value}"' for name, value in others.items())
    script = path.with_suffix(".lua")
    script.write_text(_LUA % (work.body, listed, headers, work.method, work.path))
    return script


def measure(works: Sequence[str], rounds: int, seconds: int, *, policies: bool) -> None:
    """Measure all gateways in turn, and print how they compare."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "big").write_bytes(secrets.token_bytes(_MEBIBYTE))
        tokens = [secrets.token_urlsafe(_TOKEN_BYTES) for _ in range(_TOKENS)]
        scripts = {
            key: write_script(folder / key, work, tokens) for key, work in WORKS.items()
        }
        [port] = free_ports(1)
        bench = Bench(folder, port)
        upstream = ["nginx", "-c", bench.filled_in("upstream.conf", port)]
        stack.enter_context(running("upstream", upstream, port, LOAD_CORE))
        found = gateways(bench, stack, policies=policies)
        for key in works:
            work, script = WORKS[key], scripts[key]
            for gateway in found:
                load(gateway, work, script, 1)
            runs: dict[str, list[Run]] = {gateway.name: [] for gateway in found}
            for _ in range(rounds):
                for gateway in found:
                    runs[gateway.name].append(load(gateway, work, script, seconds))
            report(work, runs)
        for gateway in found:
            say(f"{gateway.name:18} PSS {gateway.pss_mib():6.1f} MiB")


def report(work: Work, runs: dict[str, list[Run]]) -> None:
    """Print medians, and how each of our builds compares, with the spread of rounds."""
    ours = [name for name in (_OURS, _COMPILED) if name in runs]
    titles = "".join(f" {f'{name} / its':>23} {'by CPU':>6}" for name in ours)
    say(f"\n{work.name}, {work.connections} connections")
    say(f"{'':18} {'req/s':>7} {'CPU us':>7} {'p99 ms':>7}{titles}")
    for name, theirs in runs.items():
        say(
            f"{name:18} {statistics.median(r.per_second for r in theirs):7.0f}"
            f" {statistics.median(r.cpu_microseconds for r in theirs):7.1f}"
            f" {statistics.median(r.p99_milliseconds for r in theirs):7.2f}"
            + "".join(_compared(runs[our], theirs) for our in ours)
        )


def _compared(ours: Sequence[Run], theirs: Sequence[Run]) -> str:
    """Return our rate as a multiple of theirs, and the same by processor time."""
    pairs = list(zip(ours, theirs, strict=True))
    rates = [our.per_second / their.per_second for our, their in pairs]
    costs = [their.cpu_microseconds / our.cpu_microseconds for our, their in pairs]
    spread = f"({min(rates):.2f}-{max(rates):.2f})"
    rate, cost = statistics.median(rates), statistics.median(costs)
    return f" {rate:9.2f} {spread:>13} {cost:6.2f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--works", nargs="+", choices=WORKS, default=list(WORKS))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument(
        "--policies", action="store_true", help="compare our own variants instead"
    )
    chosen = parser.parse_args(arguments)
    for program in ("wrk", "nginx", "taskset"):
        if shutil.which(program) is None:
            raise SystemExit(f"{program} is needed and not installed")
    measure(chosen.works, chosen.rounds, chosen.seconds, policies=chosen.policies)


if __name__ == "__main__":
    main()
