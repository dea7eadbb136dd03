"""Searches for connections that can give way."""

import asyncio

import pytest

from gateway_service.http1.client import Client
from gateway_service.http1.connection import ClientConnection
from gateway_service.http1.deadlines import Deadlines
from gateway_service.http1.descriptors import Descriptors
from gateway_service.http1.exchange import Exchange
from gateway_service.http1.parsing.fields import READ_OF_REQUESTS, FieldPolicy
from gateway_service.http1.server import EdgeServer
from gateway_service.http1.write_batch import WriteBatch
from service_kit.health import Readiness
from service_kit.observability.builds import BUILD, INTERPRETED
from service_kit.problems import Problem


class CountingServer(EdgeServer):
    """Handles nothing, and counts how often it looks at one of its connections."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        fields = FieldPolicy(READ_OF_REQUESTS, is_dropped=lambda _: False)
        deadlines, batch = Deadlines(loop), WriteBatch(loop)
        descriptors = Descriptors(loop)
        super().__init__(
            fields, Readiness(), deadlines, batch, loop, descriptors=descriptors
        )
        self.looks = 0

    def handle(self, exchange: Exchange) -> None:
        raise AssertionError(exchange)

    def refuse(self, exchange: Exchange, problem: Problem, received: bytes) -> None:
        raise AssertionError(exchange, problem, received)

    def ended(self, exchange: Exchange) -> None:
        raise AssertionError(exchange)

    def trusts(self, connection: Client) -> bool:
        self.looks += connection in self._connections
        return False


class IdleConnection(ClientConnection):
    """A connection that can give way."""

    @property
    def is_idle(self) -> bool:
        return True

    def give_way(self) -> None:
        pass


@pytest.mark.skipif(
    BUILD != INTERPRETED, reason="no class here can extend compiled ones"
)
async def test_a_crowd_of_connections_is_no_crowd_of_searches() -> None:
    loop = asyncio.get_running_loop()
    server = CountingServer(loop)
    server.connection_limit, server.client_limit = 2_048, 2_048

    server.admit(IdleConnection(loop, server, "192.0.2.1"))
    for number in range(1_983):
        address = f"10.0.{number // 200}.{number % 200}"
        server.admit(ClientConnection(loop, server, address))
    for _ in range(400):  # each could give way to the next
        server.admit(IdleConnection(loop, server, "192.0.2.1"))
    server.deadlines.close()

    assert server.shed > 0
    assert server.looks < 100 * 2_048
