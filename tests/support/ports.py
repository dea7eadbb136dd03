"""Ports for processes under test, and waiting until they answer."""

import asyncio
import contextlib
import socket
from typing import Final

import aiohttp

_LONGEST_START_SECONDS: Final = 20


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


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
