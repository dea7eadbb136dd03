"""The health check of a gateway that shares its network with another one."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from deploy.compose import edge


@pytest.fixture
def held(tmp_path: Path) -> Iterator[str]:
    """Hold a name as edge does: without it, the check ends process 1."""
    name = f"\0{tmp_path}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as holder:
        holder.bind(name)
        yield name


async def test_a_gateway_is_asked_at_its_own_port(
    held: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ready(_: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.router.add_get("/readyz", ready)
    async with TestServer(app) as own, TestServer(web.Application()) as other:
        found = []
        for server in (own, other):
            monkeypatch.setenv("GATEWAY_INTERNAL_PORT", str(server.port))
            found.append(await asyncio.to_thread(edge.check, held))

    assert found == [0, 1]
