"""Serving: from bound sockets until the last response."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator

from gateway_service.http1.acceptor import Acceptor
from gateway_service.operations.access_log import AccessLog
from gateway_service.operations.workers.control import ControlPlane
from gateway_service.server import GatewayServer
from service_kit.running.sockets import host_port, listen


@contextlib.asynccontextmanager
async def running(
    server: GatewayServer,
    control: ControlPlane,
    access_log: AccessLog,
    sockets: list[socket.socket],
    *,
    grace: float,
    shares_port: bool = False,
) -> AsyncIterator[str]:
    """Serve on bound sockets, and yield the address of the first.

    Where others listen on the port, too, leave it to them while no replica is known.
    In the end accept nothing more, let requests in flight end, then stop all else.
    """
    certificate = control.certificate

    def context() -> ssl.SSLContext | None:
        return certificate.context if certificate is not None else None

    try:
        await control.start()
        if shares_port:
            await control.until_started()
        for each in sockets:
            listen(each)
        address = host_port(sockets[0].getsockname())
        accepting = [
            Acceptor(server, each, context, server.descriptors) for each in sockets
        ]
        try:
            yield address
        finally:
            await asyncio.gather(*(each.close() for each in accepting))
            await server.stop(grace)
    finally:
        await control.close()
        server.deadlines.close()
        await access_log.close()
        if server.tracing is not None:
            await server.tracing.close()
