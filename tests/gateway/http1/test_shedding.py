"""Searches for connections that can give way."""

import asyncio
import time

from tests.support.gateway import RunningGateway

from gateway_service.http1.connection import ClientConnection
from gateway_service.http1.server import EdgeServer


class NoTransport(asyncio.Transport):
    """Leads to nobody, so it is closed at once."""

    def __init__(self, connection: ClientConnection) -> None:
        super().__init__()
        self._connection = connection

    def close(self) -> None:
        self._connection.connection_lost(None)


def seconds_to_admit(server: EdgeServer, addresses: list[str], *, idle: bool) -> float:
    """Return the seconds of CPU that connections take, idle or still opening."""
    started_at = time.thread_time()
    for address in addresses:
        connection = ClientConnection(server.loop, server, address)
        if not server.admit(connection):
            server.leave(connection)
        elif idle:
            connection.connection_made(NoTransport(connection))
    return time.thread_time() - started_at


async def test_a_crowd_of_connections_is_no_crowd_of_searches(
    gateway: RunningGateway,
) -> None:
    server = gateway.app.server
    server.connection_limit, server.client_limit = 2_048, 2_048
    others = [f"10.0.{number // 200}.{number % 200}" for number in range(1_983)]

    seconds_to_admit(server, ["192.0.2.1"], idle=True)
    usual = seconds_to_admit(server, others, idle=False)
    crowd = seconds_to_admit(server, ["192.0.2.1"] * 400, idle=True)

    assert server.shed > 0, "each could give way to the next"
    assert crowd < 3 * usual, "0.4, or 20 if each is a search"
    for each in server.connections:
        server.leave(each)
