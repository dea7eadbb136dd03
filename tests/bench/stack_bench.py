"""Gateway and content beside the tutorial: ``python -m tests.bench.stack_bench``.

Both answer `/api/test/user`. The tutorial's app has the core to itself; each request
passes the layers and routes that it passes there, but its key (HS256) is parsed once.
Ours are two processes that share the core; they check RS256 and each token's status,
with all policies and logs.
"""

import asyncio
import contextlib
import secrets
import shutil
import statistics
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Final

import jwt
from tests.bench.content_bench import minted, serving
from tests.bench.gateway_bench import (
    PEERS,
    SERVE,
    WORKS,
    Bench,
    Run,
    Server,
    load,
    running,
    say,
    write_script,
)
from tests.support.issuer import Issuer
from tests.support.ports import free_ports
from tests.support.tokens import private_key

from service_kit.tokens import StatusList

_TOKENS: Final = 10_000
_MANY: Final = "browser-size headers, 10 000 tokens"
_ONE: Final = "few headers, one token"
_ROUNDS: Final = 5
_SECONDS: Final = 4
_WORK: Final = WORKS["small"]
_TUTORIAL: Final = PEERS / "node" / "tutorial.mjs"
_FOREVER: Final = 1 << 34


class Loaded:
    """A server, and what it can be loaded with."""

    def __init__(self, server: Server, tokens: Sequence[str], folder: Path) -> None:
        self._server = server
        self._scripts = {
            _MANY: write_script(folder / f"{server.name}-many", _WORK, tokens),
            _ONE: write_script(folder / f"{server.name}-one", _WORK, tokens[:1], {}),
        }

    async def run(self, case: str) -> Run:
        """Load it for a while."""
        script = self._scripts[case]
        return await asyncio.to_thread(load, self._server, _WORK, script, _SECONDS)


@contextlib.contextmanager
def tutorial(folder: Path) -> Iterator[Loaded]:
    """Run what the tutorial serves."""
    secret = secrets.token_urlsafe(48)
    tokens = [
        jwt.encode({"id": number, "exp": _FOREVER}, secret, "HS256")
        for number in range(_TOKENS)
    ]
    [port] = free_ports(1)
    command = ["node", str(_TUTORIAL), str(port), secret]
    with running("tutorial", command, port, token=tokens[0]) as server:
        yield Loaded(server, tokens, folder)


@contextlib.asynccontextmanager
async def gateway_and_content(folder: Path) -> AsyncIterator[Loaded]:
    """Run our two processes, and an issuer that only they ask."""
    port, internal_port = free_ports(2)
    async with Issuer() as issuer:
        issuer.statuses = StatusList.of_size(1 << 20)
        private_key()  # made before the processes that sign are forked
        tokens = minted(range(_TOKENS), folder).tokens
        command = ("content_service", "serve")
        with contextlib.ExitStack() as stack:
            content = await asyncio.to_thread(
                stack.enter_context,
                serving("content", command, tokens[0], issuer.settings()),
            )
            environ = Bench(folder, content.port).environ(port, internal_port)
            server = await asyncio.to_thread(
                stack.enter_context,
                running("gateway", SERVE, port, token=tokens[0], **environ),
            )
            yield Loaded(server, tokens, folder)


async def measure() -> None:
    """Measure both in turn, and print how they compare."""
    with tempfile.TemporaryDirectory() as name, tutorial(Path(name)) as theirs:
        async with gateway_and_content(Path(name)) as ours:
            for case in (_MANY, _ONE):
                await ours.run(case)
                await theirs.run(case)
                runs = [
                    (await ours.run(case), await theirs.run(case))
                    for _ in range(_ROUNDS)
                ]
                report(case, runs)


def report(case: str, runs: Sequence[tuple[Run, Run]]) -> None:
    """Print medians, and the ratio with its spread."""
    ratios = [our.per_second / their.per_second for our, their in runs]
    our_rate = statistics.median(our.per_second for our, _ in runs)
    their_rate = statistics.median(their.per_second for _, their in runs)
    say(
        f"{case}: gateway and content {our_rate:.0f} req/s,"
        f" the tutorial {their_rate:.0f} req/s, ratio"
        f" {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
    )


def main() -> None:
    """Measure, where what it takes is installed."""
    if shutil.which("node") is None or not (_TUTORIAL.parent / "node_modules").is_dir():
        say("the tutorial is left out: node or its packages are not installed")
        return
    asyncio.run(measure())


if __name__ == "__main__":
    main()
