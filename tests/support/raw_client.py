"""A client that says exactly what the test says, and reads strictly."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import h11


@dataclass(frozen=True)
class Received:
    """An answer as h11 understood it."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    interim: tuple[int, ...] = ()

    def values(self, name: str) -> list[str]:
        return [value for each, value in self.headers if each == name.lower()]

    def value(self, name: str) -> str | None:
        values = self.values(name)
        assert len(values) <= 1, f"{name} stands {len(values)} times"
        return values[0] if values else None

    def json(self) -> Any:  # noqa: ANN401 - whatever the body holds
        return json.loads(self.body)


class IncompleteAnswerError(Exception):
    """The connection ended before the answer did."""


class RawClient:
    """One connection."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.reader = reader
        self.writer = writer
        self._parser = h11.Connection(h11.CLIENT)

    async def send(self, *pieces: bytes, pause: float = 0.0) -> None:
        for piece in pieces:
            self.writer.write(piece)
            with suppress(ConnectionError):
                await self.writer.drain()
            if pause:
                await asyncio.sleep(pause)

    def end(self) -> None:
        """Send no more, but go on reading."""
        self.writer.write_eof()

    def reset(self) -> None:
        """End the connection with RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def answer(self, method: str = "GET", within: float = 5.0) -> Received:
        """Read one answer; the answers to a HEAD are read as such."""
        parser = self._parser
        if parser.our_state is h11.DONE:
            parser.start_next_cycle()
        parser.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        parser.send(h11.EndOfMessage())
        head: h11.Response | None = None
        body, interim = b"", []
        async with asyncio.timeout(within):
            while True:
                event = parser.next_event()
                match event:
                    case h11.NEED_DATA:
                        data = await self._read()
                        if not data and parser.their_state is h11.SEND_BODY:
                            parser.receive_data(b"")
                        elif not data:
                            raise IncompleteAnswerError
                        else:
                            parser.receive_data(data)
                    case h11.InformationalResponse():
                        interim.append(event.status_code)
                    case h11.Response():
                        head = event
                    case h11.Data():
                        body += event.data
                    case h11.EndOfMessage():
                        assert head is not None
                        return Received(
                            head.status_code,
                            [
                                (n.decode(), v.decode("latin-1"))
                                for n, v in head.headers
                            ],
                            body,
                            tuple(interim),
                        )
                    case _:
                        raise IncompleteAnswerError(event)

    async def _read(self) -> bytes:
        try:
            return await self.reader.read(65_536)
        except ConnectionError:
            raise IncompleteAnswerError from None

    async def rest(self, within: float = 5.0) -> bytes:
        """Return everything up to the end of the connection."""
        received = b""
        with suppress(ConnectionError):
            async with asyncio.timeout(within):
                while data := await self.reader.read(65_536):
                    received += data
        return received


@asynccontextmanager
async def raw_client(
    port: int, *, source: str = "127.0.0.1"
) -> AsyncIterator[RawClient]:
    """Connect for the length of a block, from an address of loopback."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, local_addr=(source, 0)
    )
    try:
        yield RawClient(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def ask(
    port: int, request: bytes, method: str = "GET", within: float = 5.0
) -> Received:
    """Send one request on a connection of its own and return the answer."""
    async with raw_client(port) as client:
        await client.send(request)
        return await client.answer(method, within)


def statuses(received: bytes) -> list[int]:
    """Return the final statuses in what a connection brought, however it ended."""
    return [
        int(line.split()[1])
        for line in received.split(b"\r\n")
        if line.startswith(b"HTTP/1.1 ") and not line.startswith(b"HTTP/1.1 1")
    ]
