"""An upstream that records every byte and answers as the test scripts it."""

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

import h11

OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(frozen=True)
class Recorded:
    """One request as h11, which is strict, understood it."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def values(self, name: str) -> list[str]:
        return [value for each, value in self.headers if each == name.lower()]

    def value(self, name: str) -> str | None:
        values = self.values(name)
        assert len(values) <= 1, f"{name} stands {len(values)} times"
        return values[0] if values else None


class Call:
    """One connection of the gateway, in the hands of a script."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader = reader
        self._writer = writer
        self.received = bytearray()
        self.is_over = False
        """Whether the gateway ended the connection."""

    async def request(self) -> Recorded | None:
        """Read until one more request is complete; None if the gateway closes."""
        before = len(self.requests())
        while len(self.requests()) == before:
            if not await self._read():
                return None
        return self.requests()[before]

    async def receive(self, count: int) -> None:
        """Read until so many bytes have come."""
        while len(self.received) < count and await self._read():
            pass

    async def head(self) -> None:
        """Read until a head is complete."""
        while b"\r\n\r\n" not in self.received and await self._read():
            pass

    async def until_over(self) -> None:
        """Read until the gateway ends the connection."""
        while await self._read():
            pass

    async def _read(self) -> bool:
        try:
            data = await self._reader.read(65_536)
        except ConnectionError:
            data = b""
        self.received += data
        self.is_over = not data
        return bool(data)

    async def send(self, *pieces: bytes, pause: float = 0.0) -> None:
        for piece in pieces:
            self._writer.write(piece)
            with suppress(ConnectionError):
                await self._writer.drain()
            await asyncio.sleep(pause)

    def send_now(self, data: bytes) -> None:
        """Put bytes into the socket, without a turn of the event loop."""
        sock = self._writer.get_extra_info("socket")
        assert os.write(sock.fileno(), data) == len(data)

    def end_now(self) -> None:
        """Send no more, without a turn of the event loop."""
        sock = self._writer.get_extra_info("socket")
        with socket.socket(fileno=os.dup(sock.fileno())) as same:
            same.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """End the connection with RST."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    def close(self) -> None:
        self._writer.close()

    def requests(self) -> list[Recorded]:
        """Return the complete requests so far; h11 raises if one is malformed."""
        return parsed_requests(bytes(self.received))


Script = Callable[[Call], Awaitable[None]]


def parsed_requests(received: bytes) -> list[Recorded]:
    """Return what a strict server reads; bytes of an incomplete request are left."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(received)
    requests: list[Recorded] = []
    head: h11.Request | None = None
    body = b""
    while True:
        event = connection.next_event()
        match event:
            case h11.Request():
                head, body = event, b""
            case h11.Data():
                body += event.data
            case h11.EndOfMessage():
                assert head is not None
                requests.append(
                    Recorded(
                        head.method.decode(),
                        head.target.decode(),
                        [(n.decode(), v.decode("latin-1")) for n, v in head.headers],
                        body,
                    )
                )
                connection.send(h11.Response(status_code=204, headers=[]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE:
                    return requests
                connection.start_next_cycle()
            case _:
                return requests


class RawUpstream:
    """Listens, records, and answers each request with `answer` or by `script`."""

    def __init__(self) -> None:
        self.answer = OK
        self.script: Script = self._answer_all
        self.calls: list[Call] = []
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def requests(self) -> list[Recorded]:
        """Every complete request, by connection."""
        return [request for call in self.calls for request in call.requests()]

    async def _answer_all(self, call: Call) -> None:
        while await call.request() is not None:
            await call.send(self.answer)

    async def start(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections, and end those that stand."""
        if self._server is None:
            return
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)
        await self._server.wait_closed()
        self._server = None

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        call = Call(reader, writer)
        self.calls.append(call)
        try:
            await self.script(call)
        finally:
            self._tasks.discard(task)
            writer.close()


@asynccontextmanager
async def raw_upstream() -> AsyncIterator[RawUpstream]:
    """Run an upstream for the length of a block."""
    upstream = RawUpstream()
    await upstream.start()
    try:
        yield upstream
    finally:
        await upstream.stop()


def waiting_for(event: asyncio.Event) -> Script:
    """Return a script that responds to targets that end in /wait after an event."""

    async def script(call: Call) -> None:
        while (recorded := await call.request()) is not None:
            if recorded.target.endswith("/wait"):
                await event.wait()
            await call.send(OK)

    return script


def once(*pieces: bytes, pause: float = 0.0, ends: bool = True) -> Script:
    """Return a script that answers one request with these bytes."""

    async def script(call: Call) -> None:
        if await call.request() is not None:
            await call.send(*pieces, pause=pause)
            if not ends:
                await call.until_over()

    return script
