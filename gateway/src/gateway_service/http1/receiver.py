"""The receiving half of a client's connection: it reads requests, or refuses them."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from gateway_service.http1 import problems
from gateway_service.http1.body_receiver import read_long_body
from gateway_service.http1.client import Client
from gateway_service.http1.deadlines import NEVER
from gateway_service.http1.exchange import Exchange
from gateway_service.http1.parsing.grammar import CRLF, MalformedError
from gateway_service.http1.parsing.reader import RequestReader, Signal
from gateway_service.http1.parsing.requests import UNREADABLE, Request
from gateway_service.http1.server import EdgeServer
from gateway_service.http1.states import TRANSITIONS, Event, State
from gateway_service.http1.streams import Stream
from service_kit.problems import Problem, ProblemError

_PIPELINE_LIMIT: Final = 65_536
"""Bytes of further requests that are held while one is handled."""

_FIRST_READ: Final = 81_920
"""Bytes of a head and what comes with it, as far as it is not passed on at once.

Held until a replica is asked, once 64 KiB of a long body are here.
"""

LOOK_AFTER: Final = 0.5
"""Seconds between two checks whether a client that ended its sending half is gone.

It may have ended its sending half only, and then it gets its response, as late as the
route allows.
"""

_HOLDING: Final = frozenset({State.RESPONSE, State.QUEUED, State.BLOCKED})


_UNREAD: Final = frozenset(
    {
        State.BODY_QUEUED,
        State.LAST_BODY,
        State.TRUNCATED,
        State.LAST_RESPONSE,
        State.LAST_QUEUED,
        State.LAST_BLOCKED,
        State.TUNNEL_ENDED,
    }
)
"""States in which reading is not resumed: enough is held, or the client has ended."""

_BEFORE_REQUEST: Final = frozenset({State.OPENING, State.IDLE, State.HEAD})

_NO_HEAD: Final = frozenset({b"", CRLF})
"""Bytes that begin no head: an empty line extends no deadline."""

# What each request needs: Python 3.11 takes 0.2 us to find a member in its Enum.
_IDLE: Final = State.IDLE
_RESPONSE: Final = State.RESPONSE
_ON_REQUEST: Final = TRANSITIONS[Event.REQUEST_READ]


class Receiver(Client):
    """Reads requests one at a time: the next after the response to the last.

    What follows a response, `ClientConnection` decides.
    """

    _body: Stream

    def __init__(
        self, loop: asyncio.AbstractEventLoop, server: EdgeServer, address: str
    ) -> None:
        super().__init__(loop, server.batch, server.timeouts, address)
        self._server = server
        self._reader = RequestReader(server.head_limits, server.fields)
        self._exchange: Exchange | None = None
        self._body_at = NEVER

    @property
    def held(self) -> int:
        """Bytes held for it: pipelined requests, bodies, and unsent responses."""
        if self._state is State.OPENING:
            return 0
        size = len(self._reader.buffer) + self._held_by_transport
        if self._state is State.TUNNEL or self._state is State.TUNNEL_ENDED:
            size += self._body.held
        return size if self._exchange is None else size + self._exchange.held

    @property
    def proxied_client(self) -> str:
        """The client behind a trusted proxy whose request is handled; else empty."""
        return "" if self._exchange is None else self._exchange.proxied_client

    @property
    def can_give_way(self) -> bool:
        """Whether nothing was done yet for a request on it."""
        if self._write_buffer.is_full:
            return False  # the response to the last one is still on its way
        if self._exchange is None:
            return self._state in _BEFORE_REQUEST
        is_body_awaited = self._state is State.BODY or self._state is State.BODY_QUEUED
        return is_body_awaited and not self._exchange.replica

    def adopt_limits(self) -> None:
        """Apply the server's current limits, timeouts and field policy."""
        self._timeouts = self._server.timeouts
        self._reader.limits = self._server.head_limits
        self._reader.fields = self._server.fields

    @property
    def _holds_enough(self) -> bool:
        """Whether reading waits until some of the held requests are handled."""
        return self._state in _HOLDING and len(self._reader.buffer) > _PIPELINE_LIMIT

    def _hold(self, data: bytes) -> None:
        """Hold bytes until the requests before them have got their responses."""
        self._reader.receive(data)
        if len(self._reader.buffer) > _PIPELINE_LIMIT:
            self._transport.pause_reading()

    def _read_head(self) -> None:
        try:
            event = self._reader.next_event()
        except MalformedError as error:
            self._refuse(problems.malformed(error.status, str(error)))
            return
        if isinstance(event, Request):
            self._begin(event)
            if self._reader.buffer and self._state in _HOLDING:
                self._hold(b"")
        elif self._state is State.LAST_QUEUED:
            self.close()
        elif self._state is _IDLE and self._reader.buffer not in _NO_HEAD:
            self._move(Event.HEAD_BEGUN)
            self.deadline = min(self.deadline, self.loop.time() + self._timeouts.head)

    def _begin(self, request: Request) -> None:
        now = time.monotonic()
        if request.length:
            self._move(Event.HEAD_READ)
            self._body = body = Stream(self, self.loop)
            self._body_at = self.deadline = now + self._timeouts.body
            self._exchange = exchange = Exchange(self, request, body, now)
            if self._reader.buffer or self._state is State.LAST_BODY:
                self._read_body(len(self._reader.buffer))
            if not self.is_secure:
                read_long_body(self._transport, _FIRST_READ)
        else:
            self._state = state = _ON_REQUEST[self._state]
            self.deadline = NEVER if state is _RESPONSE else now + LOOK_AFTER
            self._exchange = exchange = Exchange(self, request, None, now)
        try:
            self._server.handle(exchange)
        except Exception as error:  # noqa: BLE001 - it is logged
            exchange.fail(error)

    @property
    def body_left(self) -> int:
        """Bytes of the request's body that are to come."""
        return self._reader.body_left if self._state is State.BODY else 0

    def body_received(self, data: memoryview) -> None:
        """Pass on some of it."""
        self._reader.skip_body(len(data))
        self._body.feed(data)
        self._read_body(len(data))

    def _read_body(self, received: int) -> None:
        """Read some of the body; many small chunks are read in several turns."""
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
            is_last = self._state is State.LAST_RESPONSE
            self.deadline = self.loop.time() + LOOK_AFTER if is_last else NEVER
            self._body.end()
            if self._reader.buffer:
                self._hold(b"")
            return
        self._body_at += received / self._timeouts.body_rate
        if not self._write_buffer.is_full:
            self.deadline = self._body_at
        if isinstance(event, bytes):
            self._body.feed(event)
            self._move(Event.BODY_HELD)
            self._transport.pause_reading()
            self._server.turns.add(self._read_body_on)
        elif self._state is State.LAST_BODY:
            self._fail_body(problems.INCOMPLETE)

    def _read_body_on(self) -> None:
        if self._state is not State.BODY_QUEUED and self._state is not State.LAST_BODY:
            return
        self._move(Event.NEXT_TURN)
        if not self._body.is_paused:
            self.resume_reading()
        self._read_body(0)

    # The `Source` of a stream

    def is_closing(self) -> bool:
        """Whether nothing more comes."""
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        """Let TCP tell the client to wait."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Resume reading, unless enough is held or the client has ended."""
        if self._state in _UNREAD or self._holds_enough:
            return
        self._transport.resume_reading()

    def _fail_body(self, problem: Problem) -> None:
        self._move(Event.BODY_FAILED)
        self._reader.take_buffer()
        self._body.fail(ProblemError(problem))

    def _refuse(self, problem: Problem) -> None:
        self._exchange = exchange = Exchange(self, UNREADABLE, None, time.monotonic())
        self._server.refuse(exchange, problem, self._reader.buffer)

    def _read_next(self) -> None:
        """Read the next of several pipelined requests.

        Not while the client leaves responses unread: they would pile up.
        """
        if self._state is not State.QUEUED and self._state is not State.LAST_QUEUED:
            return
        if self._write_buffer.is_full:
            self._move(Event.CLIENT_SLOW)
            return
        self._move(Event.NEXT_TURN)
        if len(self._reader.buffer) > _PIPELINE_LIMIT:
            self.resume_reading()
        self._read_head()
        if self._state in _HOLDING:
            self._hold(b"")

    def open_tunnel(self, on_drain: Callable[[], None]) -> Stream:
        """Return what the client sends from now on, no longer HTTP."""
        self._move(Event.TUNNEL_OPENED)
        self._on_drain = on_drain
        if self._server.is_stopping:
            on_drain()
        self._body = Stream(self, self.loop)
        self.resume_reading()
        self._body.feed(self._reader.take_buffer())
        if self._state is State.TUNNEL_ENDED:
            self._body.end()
        return self._body
