"""A client's connection, as a state machine."""

import asyncio
import contextlib
from typing import Final

from gateway_service.http1 import problems
from gateway_service.http1.client import LINGER
from gateway_service.http1.deadlines import NEVER
from gateway_service.http1.receiver import LOOK_AFTER, Receiver
from gateway_service.http1.states import TRANSITIONS, Event, State
from gateway_service.http1.streams import Stream

_LINGER_LIMIT: Final = 4_194_304
"""Bytes that a client may still send after its last response."""

# What each request needs: Python 3.11 takes 0.2 us to find a member in its Enum.
_IDLE: Final = State.IDLE
_RESPONSE: Final = State.RESPONSE
_ON_RESPONSE: Final = TRANSITIONS[Event.RESPONDED]


class ClientConnection(Receiver):
    """Handles each event according to the connection's state.

    It is an `asyncio.Protocol` in all but its base, which costs a compiled class a
    dictionary for each instance.
    """

    _lingered = 0

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        self._connect(transport)
        if self._server.refuses(self):
            self._refuse(problems.TOO_MANY_CONNECTIONS)

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
            case State.RESPONSE | State.QUEUED | State.BLOCKED | State.BODY_QUEUED:
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
        """Let a client that ends its sending half have its response."""
        self._batch.flush()
        state = self._state
        self._move(Event.CLIENT_ENDED)
        match state:
            case State.RESPONSE if not self._write_buffer.is_full:
                self.deadline = self.loop.time() + LOOK_AFTER
            case State.BODY:
                self._read_body(0)
            case State.RESPONSE | State.QUEUED | State.BLOCKED | State.BODY_QUEUED:
                pass
            case State.TUNNEL:
                self._body.end()
            case State.BROKEN:
                pass
            case _:
                send_at = self.loop.time() + self._timeouts.send
                self.deadline = min(self.deadline, send_at)
                return False
        return self._transport.can_write_eof()

    def resume_writing(self) -> None:
        """Resume the wait that a slow client interrupted."""
        self._write_buffer.resume()
        now = self.loop.time()
        match self._state:
            case State.IDLE | State.QUEUED | State.LAST_QUEUED:
                self.deadline = now + self._timeouts.keep_alive
            case State.HEAD:
                self.deadline = now + self._timeouts.head
            case State.BLOCKED | State.LAST_BLOCKED:
                self._move(Event.CLIENT_CAUGHT_UP)
                self.deadline = now + self._timeouts.keep_alive
                self._server.turns.add(self._read_next)
            case (
                State.BODY
                | State.BODY_QUEUED
                | State.LAST_BODY
                | State.BROKEN
                | State.TRUNCATED
            ):
                self.deadline = self._body_at
            case State.LAST_RESPONSE:
                self.deadline = now + LOOK_AFTER
            case State.LINGER:
                self.deadline = now + LINGER
            case State.CLOSED:
                self.deadline = now + self._timeouts.send
            case State.OPENING | State.RESPONSE | State.TUNNEL | State.TUNNEL_ENDED:
                self.deadline = NEVER

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """Abandon the exchange of a client that is gone."""
        self._move(Event.CLOSED)
        self._write_buffer.lost()
        self._server.leave(self)
        with contextlib.suppress(AttributeError):
            self._body.detach()  # it refers to this object, and would keep it alive
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.abandon()
            self._server.ended(exchange)

    def on_deadline(self) -> None:
        """End the wait whose deadline has passed."""
        if self._write_buffer.is_full:
            self.cut()
            return
        match self._state:
            case State.HEAD:
                self._refuse(problems.REQUEST_TIMEOUT)
            case State.BODY | State.BODY_QUEUED if self._body.is_paused:
                self.deadline = self._body_at = self.loop.time() + self._timeouts.body
            case State.BODY | State.BODY_QUEUED:
                self._fail_body(problems.REQUEST_TIMEOUT)
            case (
                State.OPENING
                | State.BROKEN
                | State.TRUNCATED
                | State.LAST_BODY
                | State.LAST_QUEUED
            ):
                pass
            case State.LAST_RESPONSE if self._exchange and self._exchange.status:
                pass
            case State.LAST_RESPONSE if not self.look_whether_gone():
                self.deadline = self.loop.time() + LOOK_AFTER
            case _:
                self._transport.abort()

    # What follows a response

    @property
    def siblings(self) -> int:
        """How many connections its client has here, with this one; 0 for a proxy."""
        return self._server.own_share_of(self)

    @property
    def stays_open(self) -> bool:
        """Whether a further request may follow."""
        state = self._state
        return (
            state is _RESPONSE
            or state is State.BODY
            or state is State.BODY_QUEUED
            or (state is State.LAST_RESPONSE and bool(self._reader.buffer))
        ) and not self._server.is_draining

    def end_response(self) -> None:
        """Continue after a complete response."""
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        self._server.ended(exchange)
        if self._state is _RESPONSE and not exchange.closes:
            self._await_next(exchange.body)
            return
        match self._state:
            case State.LAST_RESPONSE if self._reader.buffer and not exchange.closes:
                self._await_next(exchange.body)
            case State.RESPONSE if not self._reader.buffer:
                self.close()
            case (
                State.LAST_RESPONSE
                | State.LAST_QUEUED
                | State.LAST_BODY
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
            self.resume_reading()
        if not self._write_buffer.is_full:
            self.deadline = self.loop.time() + self._timeouts.keep_alive
        if self._reader.buffer:
            self._move(Event.RESPONDED_WITH_MORE)
            self._hold(b"")
            self._server.turns.add(self._read_next)
        else:
            self._state = _ON_RESPONSE[self._state]
