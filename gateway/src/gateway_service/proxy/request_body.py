"""A request's body on its way to a replica."""

import contextlib
from functools import partial
from typing import Final

from gateway_service.http1.exchange import Exchange
from gateway_service.http1.parsing.grammar import CHUNKED
from gateway_service.proxy import problems
from gateway_service.upstreams.connections.connection import UpstreamConnection
from service_kit.problems import ProblemError

GATHERED: Final = 65_536
"""Bytes of a body that are awaited before a replica is asked.

A small body goes out whole, so that a slow client holds no replica's connection.
"""

GATHERED_CHUNKED: Final = 131_072
"""The same for a body of unknown length.

More than the limit of most routes, so what exceeds it reaches no replica.
"""


class RequestBody:
    """Passes a body on as it is received, and enforces its route's limit."""

    def __init__(self, exchange: Exchange, limit: int) -> None:
        self._exchange = exchange
        self._limit = limit
        self._received = 0
        self._is_chunked = exchange.request.length == CHUNKED

    async def gather(self) -> bytes:
        """Wait for the whole body if it is small, else for its beginning.

        Raises `ProblemError`: it exceeds the limit.
        """
        gathered = GATHERED_CHUNKED if self._is_chunked else GATHERED
        first = await self._exchange.read_body(min(gathered, self._limit))
        self._count(first)
        return first

    @property
    def is_received(self) -> bool:
        """Whether all of it is here."""
        body = self._exchange.body
        return body is None or body.is_complete

    @property
    def is_whole(self) -> bool:
        """Whether what was gathered is all of it."""
        body = self._exchange.body
        return body is None or (body.is_complete and body.is_empty)

    def framed(self, data: bytes) -> bytes:
        """Return a piece as it is sent."""
        return b"%x\r\n%b\r\n" % (len(data), data) if self._is_chunked else data

    async def send_to(self, connection: UpstreamConnection) -> None:
        """Send what was not gathered."""
        body = self._exchange.body
        if body is None:
            return
        with contextlib.suppress(ConnectionResetError):
            if not self._is_chunked:
                body.offer_to(partial(self._send_now, connection))
            while data := await body.read():
                self._count(data)
                await connection.send(self.framed(data))
            await connection.send(self.framed(b""))
            connection.end_request()

    def _send_now(
        self, connection: UpstreamConnection, data: bytes | memoryview
    ) -> int:
        """Send what the replica takes at once, unless that exceeds the limit."""
        if self._received + len(data) > self._limit:
            return 0
        sent = connection.send_now(data)
        self._received += sent
        return sent

    def _count(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > self._limit:
            raise ProblemError(problems.BODY_TOO_LARGE)
