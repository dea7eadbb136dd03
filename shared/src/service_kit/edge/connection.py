"""Connections of clients: requests are read here, and refused if they are malformed."""

import asyncio
import logging
import socket
import struct
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Protocol, cast

from service_kit.addresses import normalised
from service_kit.edge import problems
from service_kit.edge.batch import WriteBatch
from service_kit.edge.deadlines import NEVER
from service_kit.edge.decoders import BodyDecoder, body_decoder
from service_kit.edge.exchange import Exchange, Work
from service_kit.edge.fields import FieldPolicy
from service_kit.edge.framing import (
    CRLF,
    HEAD_END,
    HeadLimits,
    MalformedError,
    check_unfinished_head,
)
from service_kit.edge.requests import UNREADABLE, Request, read_request
from service_kit.edge.streams import Outlet, Stream
from service_kit.problems import INTERNAL_ERROR, Problem, ProblemError
from service_kit.request_id import request_id

_PIPELINE_LIMIT: Final = 65_536
"""Octets of further requests that are read while one is being answered."""

_LINGER: Final = 2.0
"""Seconds in which a refused client may still send, so that it gets to read why."""
_LINGER_LIMIT: Final = 4_194_304
"""Octets it may send meanwhile."""

_HALF_CLOSED: Final = 2.0
"""Seconds that a client which sends no more may wait for its answer.

It may have ended its sending half only; more likely it is gone, and then the work for
it should end.
"""

_ON_ITS_WAY: Final = 0.5
"""Seconds that an idle connection stays open when the server stops."""

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
"""SO_LINGER without time: closing sends RST."""

_logger: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ClientTimeouts:
    """How long a client is waited for, in seconds."""

    head: float = 10.0
    """For the whole request line and header block, from its first byte."""
    body: float = 20.0
    """For the whole body, plus one second for each `body_rate` bytes received."""
    body_rate: int = 1_024
    """Bytes a second below which a body counts as stalled."""
    send: float = 20.0
    """For the client to take what was written to it."""
    keep_alive: float = 75.0
    """For the next request on a connection."""


class Server(Protocol):
    """What the connections have in common."""

    timeouts: ClientTimeouts
    head_limits: HeadLimits
    fields: FieldPolicy
    batch: WriteBatch

    @property
    def is_draining(self) -> bool:
        """Whether connections end with their next answer."""

    def admit(self, connection: "ClientConnection") -> Problem | None:
        """Take note of a new connection, or say why it cannot be."""

    def leave(self, connection: "ClientConnection") -> None:
        """Take note that a connection is gone."""

    def handle(self, exchange: Exchange) -> None:
        """Answer a request, now or later."""

    def refuse(self, exchange: Exchange, problem: Problem, received: bytes) -> None:
        """Answer what could not be understood."""

    def ended(self, exchange: Exchange) -> None:
        """Take note of an exchange that is over."""


class _Phase(Enum):
    HEAD = 1
    """Between requests, or in the middle of a head."""
    BODY = 2
    """A request is being answered and its body is still coming."""
    ANSWER = 3
    """A request has come and is being answered."""
    TUNNEL = 4
    LINGER = 5
    """Answered for the last time; what still comes is thrown away."""
    CLOSED = 6


class ClientConnection(asyncio.Protocol):
    """Reads one request after the other, and has each answered before the next."""

    _transport: asyncio.Transport
    _decoder: BodyDecoder
    _body: Stream

    def __init__(self, loop: asyncio.AbstractEventLoop, server: Server) -> None:
        self._loop = loop
        self._server = server
        self._timeouts = server.timeouts
        self._batch = server.batch
        self._outlet = Outlet(loop)
        self._phase = _Phase.HEAD
        self._buffer = b""
        self._scanned = 0
        self._task: asyncio.Task[None] | None = None
        self._exchange: Exchange | None = None
        self._body_at = NEVER
        self._lingered = 0
        self._is_half_closed = False
        self.address = ""
        self.is_secure = False
        self.deadline = NEVER

    # What an exchange asks of it

    @property
    def stays_open(self) -> bool:
        """Whether a further request may follow."""
        return not (self._server.is_draining or self._is_half_closed)

    def write(self, data: bytes) -> None:
        """Send octets to the client."""
        self._batch.flush()
        self._transport.write(data)

    def write_whole(self, data: bytes) -> None:
        """Send a whole answer."""
        self._batch.add(self._transport, data)

    async def drain(self) -> None:
        """Wait until the client has taken most of what was written."""
        if self._outlet.is_full:
            await self._outlet.drain()

    def wait_for(
        self, exchange: Exchange, work: Callable[[], Coroutine[Any, Any, None]]
    ) -> Work:
        """Do what must be waited for; it ends when the client is gone."""
        self._task = self._loop.create_task(self._guarded(exchange, work))
        return self._task

    def finished(self, exchange: Exchange) -> None:
        """Go on after an answer that is complete."""
        self._exchange = self._task = None
        self._server.ended(exchange)
        self._next(exchange)

    def failed(self, exchange: Exchange, error: Exception) -> None:
        """Make the best of an exception that nobody expected."""
        request_id.set(exchange.request_id)
        _logger.error("unexpected_error", exc_info=error)
        exchange.abandon()
        if exchange.status:
            self.cut()
        else:
            exchange.closes = True
            exchange.tell(INTERNAL_ERROR)

    def cut(self) -> None:
        """End the connection so that the client sees it broken."""
        sock = self._transport.get_extra_info("socket")
        if sock is not None and not self._transport.is_closing():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._phase = _Phase.CLOSED
        self._transport.abort()

    def open_tunnel(self) -> Stream:
        """Return what the client sends from now on, no longer HTTP."""
        self._phase = _Phase.TUNNEL
        self._body = Stream(self._transport, self._loop)
        buffered, self._buffer = self._buffer, b""
        self._transport.resume_reading()
        self._body.feed(buffered)
        return self._body

    # What the server asks of it

    def close_when_idle(self) -> None:
        """Close soon, unless a request is being answered or is on its way."""
        if self._phase is _Phase.HEAD and not self._buffer:
            self.deadline = min(self.deadline, self._loop.time() + _ON_ITS_WAY)

    def close(self) -> None:
        """Close after what was written."""
        self._phase = _Phase.CLOSED
        self._batch.flush()
        self._transport.close()

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self.address = normalised(peer[0]) if isinstance(peer, tuple) else ""
        self.is_secure = transport.get_extra_info("ssl_object") is not None
        self.deadline = self._loop.time() + self._timeouts.head
        problem = self._server.admit(self)
        if problem is not None:
            self._refuse(problem)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        match self._phase:
            case _Phase.HEAD if self._outlet.is_full:
                self._phase = _Phase.ANSWER
                self._hold(data)
            case _Phase.HEAD:
                self._read_head(data)
            case _Phase.BODY:
                self._read_body(data)
            case _Phase.ANSWER:
                self._hold(data)
            case _Phase.TUNNEL:
                self._body.feed(data)
            case _Phase.LINGER:
                self._lingered += len(data)
                if self._lingered > _LINGER_LIMIT:
                    self._transport.abort()
            case _Phase.CLOSED:
                pass

    def eof_received(self) -> bool:
        """Let a client that has said all it wants have its answer."""
        self._batch.flush()
        self._is_half_closed = True
        match self._phase:
            case _Phase.ANSWER:
                self.deadline = self._loop.time() + _HALF_CLOSED
            case _Phase.BODY:
                self._body.fail(ProblemError(problems.INCOMPLETE))
            case _Phase.TUNNEL:
                self._body.end()
            case _Phase.HEAD | _Phase.LINGER | _Phase.CLOSED:
                return False
        return self._transport.can_write_eof()

    def pause_writing(self) -> None:
        """Bound how long the client may take to read."""
        self._outlet.pause()
        self.deadline = self._loop.time() + self._timeouts.send

    def resume_writing(self) -> None:
        """Wait again for what was waited for."""
        self._outlet.resume()
        now = self._loop.time()
        match self._phase:
            case _Phase.HEAD:
                self.deadline = now + self._timeouts.keep_alive
            case _Phase.BODY:
                self.deadline = self._body_at
            case _Phase.LINGER:
                self.deadline = now + _LINGER
            case _Phase.ANSWER if self._exchange is None:
                self._loop.call_soon(self._read_on)
            case _Phase.ANSWER if self._is_half_closed:
                self.deadline = now + _HALF_CLOSED
            case _Phase.ANSWER | _Phase.TUNNEL | _Phase.CLOSED:
                self.deadline = NEVER

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """End the work that is done for the client."""
        self._phase = _Phase.CLOSED
        self._outlet.lost()
        self._server.leave(self)
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.abandon()
            self._server.ended(exchange)

    def on_deadline(self) -> None:
        """Give up what takes too long."""
        if self._outlet.is_full:
            self.cut()
            return
        match self._phase:
            case _Phase.HEAD if self._buffer:
                self._refuse(problems.REQUEST_TIMEOUT)
            case _Phase.BODY if self._body.is_paused:
                self.deadline = self._body_at = self._loop.time() + self._timeouts.body
            case _Phase.BODY:
                self._body.fail(ProblemError(problems.REQUEST_TIMEOUT))
            case _Phase.ANSWER if self._exchange is not None and self._exchange.status:
                self.deadline = NEVER
            case _:
                self._transport.abort()

    # Reading requests

    def _hold(self, data: bytes) -> None:
        """Keep further requests until those before them are answered and taken."""
        self._buffer += data
        if len(self._buffer) > _PIPELINE_LIMIT:
            self._transport.pause_reading()

    def _read_head(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        while data.startswith(CRLF):
            data = data[len(CRLF) :]
        end = data.find(HEAD_END, self._scanned)
        try:
            if end < 0:
                self._await_head(data)
                return
            request = read_request(
                data[:end], self._server.head_limits, self._server.fields
            )
        except MalformedError as error:
            self._buffer = data
            self._refuse(problems.malformed(error.status, str(error)))
        else:
            self._begin(request, data[end + len(HEAD_END) :])

    def _await_head(self, data: bytes) -> None:
        check_unfinished_head(data, self._server.head_limits)
        if not self._buffer:
            self.deadline = self._loop.time() + self._timeouts.head
        self._buffer = data
        self._scanned = max(0, len(data) - len(HEAD_END) + 1)

    def _begin(self, request: Request, rest: bytes) -> None:
        now = time.monotonic()
        self._scanned = 0
        if request.length:
            self._phase = _Phase.BODY
            self._buffer = b""
            self._body = body = Stream(self._transport, self._loop)
            self._decoder = body_decoder(request.length)
            self._body_at = self.deadline = now + self._timeouts.body
            exchange = Exchange(self, request, body, now)
            if rest:
                self._read_body(rest)
        else:
            self._phase = _Phase.ANSWER
            self._buffer = rest
            self.deadline = NEVER
            exchange = Exchange(self, request, None, now)
        self._exchange = exchange
        try:
            self._server.handle(exchange)
        except Exception as error:  # noqa: BLE001 - it is told and logged
            self.failed(exchange, error)

    def _read_body(self, data: bytes) -> None:
        decoder = self._decoder
        try:
            self._body.feed(decoder.feed(data))
        except MalformedError as error:
            self._body.fail(ProblemError(problems.malformed(error.status, str(error))))
            return
        if decoder.complete:
            self._phase = _Phase.ANSWER
            self._buffer = decoder.rest
            self.deadline = NEVER
            self._body.end()
        else:
            self._body_at += len(data) / self._timeouts.body_rate
            if not self._outlet.is_full:
                self.deadline = self._body_at

    # Answering them

    async def _guarded(
        self, exchange: Exchange, work: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        request_id.set(exchange.request_id)
        try:
            await work()
        except ConnectionResetError:
            self.cut()
        except ProblemError as error:
            # The body keeps the error; the error is not to keep who reads the body.
            error.__traceback__ = None
            exchange.abandon()
            if exchange.status:
                self.cut()
            else:
                exchange.tell(error.problem)
        except Exception as error:  # noqa: BLE001 - it is told and logged
            self.failed(exchange, error)

    def _next(self, exchange: Exchange) -> None:
        if self._phase is _Phase.CLOSED:
            return
        if self._is_half_closed and self._phase is _Phase.ANSWER:
            self.close()
        elif self._phase is _Phase.ANSWER and not exchange.closes:
            self._phase = _Phase.HEAD
            if exchange.body is not None and exchange.body.is_paused:
                self._transport.resume_reading()
            if not self._outlet.is_full:
                self.deadline = self._loop.time() + self._timeouts.keep_alive
            if self._buffer:
                # Another turn of the loop, so that no client has all of this one.
                self._phase = _Phase.ANSWER
                self._loop.call_soon(self._read_on)
        elif self._phase is _Phase.ANSWER and not self._buffer:
            self.close()
        else:
            self._linger()

    def _read_on(self) -> None:
        """Read the next of several requests that came together.

        Not while the client leaves answers unread: they would pile up here.
        """
        if self._phase is not _Phase.ANSWER or self._exchange is not None:
            return
        if self._is_half_closed:
            self.close()
            return
        if self._outlet.is_full:
            return
        self._phase = _Phase.HEAD
        data, self._buffer = self._buffer, b""
        if len(data) > _PIPELINE_LIMIT:
            self._transport.resume_reading()
        self._read_head(data)

    def _refuse(self, problem: Problem) -> None:
        exchange = Exchange(self, UNREADABLE, None, time.monotonic())
        self._server.refuse(exchange, problem, self._buffer)

    def _linger(self) -> None:
        """Let the client read the answer before the connection is closed.

        Closing while it still sends would reset the connection, and the answer with it.
        """
        self._phase = _Phase.LINGER
        self._buffer = b""
        self._batch.flush()
        if self._is_half_closed or not self._transport.can_write_eof():
            self.close()
            return
        self.deadline = self._loop.time() + _LINGER
        self._transport.resume_reading()
        self._transport.write_eof()
