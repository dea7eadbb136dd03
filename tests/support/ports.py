"""Ports for processes under test, and waiting until they answer."""

import asyncio
import contextlib
import itertools
import os
import random
import socket
from typing import Final

import aiohttp

_LONGEST_START_SECONDS: Final = 20

_FIRST_PORT: Final = 12_000
_PORTS_OF_WORKER: Final = 2_000
_places: Final = itertools.cycle(
    random.sample(range(_PORTS_OF_WORKER), _PORTS_OF_WORKER)
)


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, all different.

    They come from below the range that the system gives to connections, and from
    another part of it for each worker of a parallel run, so that nobody else takes
    a port between this look at it and its use.
    """
    ports: list[int] = []
    while len(ports) < count:
        port = _FIRST_PORT + _worker() * _PORTS_OF_WORKER + next(_places)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            ports.append(port)
    return ports


def _worker() -> int:
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


async def until_ready(internal_url: str) -> None:
    """Wait until the process with this internal port says that it is ready."""
    async with (
        asyncio.timeout(_LONGEST_START_SECONDS),
        aiohttp.ClientSession() as client,
    ):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with client.get(f"{internal_url}/readyz") as answer:
                    if answer.ok:
                        return
            await asyncio.sleep(0.05)
