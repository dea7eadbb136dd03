"""A TCP proxy that misbehaves when told to."""

import asyncio
import contextlib
from enum import Enum, auto
from typing import Self


class Fault(Enum):
    """What the proxy does to connections, old and new."""

    NONE = auto()
    REFUSE = auto()
    """Close new connections at once, and the old ones with them."""
    MUTE = auto()
    """Accept, and never say or pass on anything."""


class FaultProxy:
    """Stands before a server on loopback and passes bytes on, or does not."""

    def __init__(self, upstream_port: int) -> None:
        self._upstream_port = upstream_port
        self._fault = Fault.NONE
        self._passing = asyncio.Event()
        self._passing.set()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._packets_left = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        self._passing.set()
        self.cut()

    def set(self, fault: Fault) -> None:
        """Misbehave so from now on."""
        self._fault = fault
        if fault is Fault.MUTE:
            self._passing.clear()
            return
        self._passing.set()
        if fault is Fault.REFUSE:
            self.cut()

    def cut(self) -> None:
        """Cut every connection there is."""
        for writer in self._writers:
            writer.transport.abort()

    def cut_after(self, packets: int) -> None:
        """Cut every connection, once, after so many packets either way; 0: never."""
        self._packets_left = packets

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._writers.add(writer)
        try:
            await self._passing.wait()
            if self._fault is not Fault.REFUSE:
                await self._relay(reader, writer)
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _relay(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            back, forth = await asyncio.open_connection(
                "127.0.0.1", self._upstream_port
            )
            self._writers.add(forth)
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._pass_on(reader, forth))
                    both.create_task(self._pass_on(back, writer))
            finally:
                self._writers.discard(forth)
                forth.transport.abort()

    async def _pass_on(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := await source.read(65_536):
                await self._passing.wait()
                sink.write(chunk)
                await sink.drain()
                self._count_packet()
        sink.transport.abort()

    def _count_packet(self) -> None:
        self._packets_left -= 1
        if self._packets_left == 0:
            self.cut()
