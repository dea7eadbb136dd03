"""Connections of clients: requests are read here, and refused if they are malformed."""

import asyncio
import time
from typing import Final

from gateway_service.http1 import problems
from gateway_service.http1.client import LINGER, Client
from gateway_service.http1.deadlines import NEVER
from gateway_service.http1.exchange import Exchange
from gateway_service.http1.parsing.grammar import MalformedError
from gateway_service.http1.parsing.reader import RequestReader, Signal
from gateway_service.http1.parsing.requests import UNREADABLE, Request
from gateway_service.http1.server import EdgeServer
from gateway_service.http1.states import TRANSITIONS, Event, State
from gateway_service.http1.streams import Stream
from service_kit.problems import Problem, ProblemError

_PIPELINE_LIMIT: Final = 65_536
"""Bytes of further requests that are held while one is handled."""

_LINGER_LIMIT: Final = 4_194_304
"""Bytes that a client may still send after its last response."""

_HALF_CLOSED: Final = 2.0
"""Seconds that a client which sends no more may wait for its response.

It may have ended its sending half only; more likely it is gone, and then the work for
it should end.
"""
_HOLDING: Final = frozenset({State.RESPONSE, State.QUEUED, State.BLOCKED})


# What each request needs: Python 3.11 takes 0.2 us to find a member in its Enum.
_IDLE: Final = State.IDLE
_RESPONSE: Final = State.RESPONSE
_ON_REQUEST: Final = TRANSITIONS[Event.REQUEST_READ]
_ON_RESPONSE: Final = TRANSITIONS[Event.RESPONDED]


class ClientConnection(Client, asyncio.Protocol):
    """Reads requests one at a time: the next after the response to the last."""

    _body: Stream

    def __init__(self, loop: asyncio.AbstractEventLoop, server: EdgeServer) -> None:
        super().__init__(loop, server.batch, server.timeouts)
        self._server = server
        self._reader = RequestReader(server.head_limits, server.fields)
        self._exchange: Exchange | None = None
        self._body_at = NEVER
        self._lingered = 0

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        self._connect(transport)
        self.deadline = self.loop.time() + self._timeouts.head
        problem = self._server.admit(self)
        if problem is not None:
            self._refuse(problem)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self._state is _IDLE and not self._write_buffer.is_full:
            self._reader.receive(data)
            self._read_head()
            return
        match self._state:
            case State.IDLE | State.HEAD if self._write_buffer.is_full:
                self._move(Event.CLIENT_SLOW)
                self._hold(data)
            case State.IDLE | State.HEAD:
                self._reader.receive(data)
                self._read_head()
            case State.BODY:
                self._reader.receive(data)
                self._read_body(len(data))
            case State.RESPONSE | State.QUEUED | State.BLOCKED:
                self._hold(data)
            case State.TUNNEL:
                self._body.feed(data)
            case State.LINGER:
                self._lingered += len(data)
                if self._lingered > _LINGER_LIMIT:
                    self._transport.abort()
            case _:
                pass

    def eof_received(self) -> bool:
        """Let a client that has said all it wants have its response."""
        self._batch.flush()
        state = self._state
        self._move(Event.CLIENT_ENDED)
        match state:
            case State.RESPONSE:
                self.deadline = self.loop.time() + _HALF_CLOSED
            case State.QUEUED | State.BLOCKED:
                self.deadline = self.loop.time() + _HALF_CLOSED
                self._transport.close()
            case State.BODY:
                self._body.fail(ProblemError(problems.INCOMPLETE))
            case State.TUNNEL:
                self._body.end()
            case State.BROKEN:
                pass
            case _:
                return False
        return self._transport.can_write_eof()

    def resume_writing(self) -> None:
        """Wait again for what was waited for."""
        self._write_buffer.resume()
        now = self.loop.time()
        match self._state:
            case State.IDLE | State.HEAD:
                self.deadline = now + self._timeouts.keep_alive
            case State.BODY | State.BROKEN | State.TRUNCATED:
                self.deadline = self._body_at
            case State.LAST_RESPONSE:
                self.deadline = now + _HALF_CLOSED
            case State.QUEUED | State.BLOCKED:
                self.loop.call_soon(self._read_next)
            case State.LINGER:
                self.deadline = now + LINGER
            case State.CLOSED:
                self.deadline = now + self._timeouts.send
            case State.RESPONSE | State.TUNNEL | State.TUNNEL_ENDED:
                self.deadline = NEVER

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """End the work that is done for the client."""
        self._move(Event.CLOSED)
        self._write_buffer.lost()
        self._server.leave(self)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.abandon()
            self._server.ended(exchange)

    def on_deadline(self) -> None:
        """Give up what takes too long."""
        if self._write_buffer.is_full:
            self.cut()
            return
        match self._state:
            case State.HEAD:
                self._refuse(problems.REQUEST_TIMEOUT)
            case State.BODY if self._body.is_paused:
                self.deadline = self._body_at = self.loop.time() + self._timeouts.body
            case State.BODY:
                self._fail_body(problems.REQUEST_TIMEOUT)
            case State.BROKEN | State.TRUNCATED:
                pass
            case State.LAST_RESPONSE if self._exchange and self._exchange.status:
                pass
            case _:
                self._transport.abort()

    # Reading requests

    def _hold(self, data: bytes) -> None:
        """Hold further requests until the responses before them are sent and taken."""
        self._reader.receive(data)
        if len(self._reader.buffer) > _PIPELINE_LIMIT:
            self._transport.pause_reading()

    def _read_head(self) -> None:
        self._reader.limits = self._server.head_limits
        try:
            event = self._reader.next_event()
        except MalformedError as error:
            self._refuse(problems.malformed(error.status, str(error)))
            return
        if isinstance(event, Request):
            self._begin(event)
        elif self._state is State.IDLE:
            self.deadline = self.loop.time() + self._timeouts.head
            if self._reader.buffer:
                self._move(Event.HEAD_BEGUN)

    def _begin(self, request: Request) -> None:
        now = time.monotonic()
        if request.length:
            self._move(Event.HEAD_READ)
            self._body = body = Stream(self._transport, self.loop)
            self._body_at = self.deadline = now + self._timeouts.body
            self._exchange = exchange = Exchange(self, request, body, now)
            if self._reader.buffer:
                self._read_body(len(self._reader.buffer))
        else:
            self._state = _ON_REQUEST[self._state]
            self.deadline = NEVER
            self._exchange = exchange = Exchange(self, request, None, now)
        try:
            self._server.handle(exchange)
        except Exception as error:  # noqa: BLE001 - it is logged
            exchange.fail(error)

    def _read_body(self, received: int) -> None:
        try:
            event = self._reader.next_event()
            if isinstance(event, bytes):
                self._body.feed(event)
                event = self._reader.next_event()
        except MalformedError as error:
            self._fail_body(problems.malformed(error.status, str(error)))
            return
        if event is Signal.END:
            self._move(Event.REQUEST_READ)
            self.deadline = NEVER
            self._body.end()
        else:
            self._body_at += received / self._timeouts.body_rate
            if not self._write_buffer.is_full:
                self.deadline = self._body_at

    def _fail_body(self, problem: Problem) -> None:
        self._move(Event.BODY_FAILED)
        self._reader.take_buffer()
        self._body.fail(ProblemError(problem))

    def _refuse(self, problem: Problem) -> None:
        self._exchange = exchange = Exchange(self, UNREADABLE, None, time.monotonic())
        self._server.refuse(exchange, problem, self._reader.buffer)

    # What follows a response

    @property
    def stays_open(self) -> bool:
        """Whether a further request may follow."""
        return (
            self._state is _RESPONSE or self._state is State.BODY
        ) and not self._server.is_draining

    def end_response(self) -> None:
        """Go on after a response that is complete."""
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        self._server.ended(exchange)
        if self._state is _RESPONSE and not exchange.closes:
            self._await_next(exchange.body)
            return
        match self._state:
            case State.RESPONSE if not self._reader.buffer:
                self.close()
            case (
                State.LAST_RESPONSE
                | State.TRUNCATED
                | State.TUNNEL_ENDED
                | State.CLOSED
            ):
                self.close()
            case _:
                self._reader.take_buffer()
                self._linger()

    def _await_next(self, body: Stream | None) -> None:
        if body is not None and body.is_paused:
            self._transport.resume_reading()
        if not self._write_buffer.is_full:
            self.deadline = self.loop.time() + self._timeouts.keep_alive
        if self._reader.buffer:
            # Another turn of the loop, so that no client has all of this one.
            self._move(Event.RESPONDED_WITH_MORE)
            self.loop.call_soon(self._read_next)
        else:
            self._state = _ON_RESPONSE[self._state]

    def _read_next(self) -> None:
        """Read the next of several requests that came together.

        Not while the client leaves responses unread: they would pile up here.
        """
        if self._state is not State.QUEUED and self._state is not State.BLOCKED:
            return
        if self._write_buffer.is_full:
            self._move(Event.CLIENT_SLOW)
            return
        self._move(Event.NEXT_TURN)
        if len(self._reader.buffer) > _PIPELINE_LIMIT:
            self._transport.resume_reading()
        self._read_head()
        if self._state in _HOLDING:
            self._hold(b"")

    def open_tunnel(self) -> Stream:
        """Return what the client sends from now on, no longer HTTP."""
        self._move(Event.TUNNEL_OPENED)
        self._body = Stream(self._transport, self.loop)
        self._transport.resume_reading()
        self._body.feed(self._reader.take_buffer())
        if self._state is State.TUNNEL_ENDED:
            self._body.end()
        return self._body
