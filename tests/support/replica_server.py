"""A replica of the test: a real socket whose answer the test decides."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class ReplicaServer:
    """Answers every connection with `answer`, or not at all while `is_silent`."""

    def __init__(self) -> None:
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        self.is_silent = False
        self.requests: list[bytes] = []
        self.port = 0
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no longer: connections are refused."""
        if self._server is not None:
            self._server.close()
            for connection in self._connections:
                connection.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)
            await asyncio.sleep(0)  # transports close a turn later
            await self._server.wait_closed()
            self._server = None

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                if self.is_silent:
                    await reader.read()
                writer.write(self.answer)
                await writer.drain()
        finally:
            writer.transport.abort()
            self._connections.discard(task)


@asynccontextmanager
async def replica_servers(count: int) -> AsyncIterator[list[ReplicaServer]]:
    """Run some replicas for the length of a block."""
    servers = [ReplicaServer() for _ in range(count)]
    try:
        for server in servers:
            await server.start()
        yield servers
    finally:
        for server in servers:
            await server.stop()


def not_ready() -> bytes:
    """Return the answer of a replica that is draining."""
    return b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
