"""One connection to a replica: one request at a time, one response to each."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from typing import Final, cast

from gateway_service.http1.body_receiver import read_long_body
from gateway_service.http1.deadlines import NEVER
from gateway_service.http1.parsing.grammar import MalformedError
from gateway_service.http1.parsing.limits import HeadLimits
from gateway_service.http1.parsing.reader import Signal
from gateway_service.http1.parsing.responses import (
    FIRST_FINAL_STATUS,
    SWITCHING_PROTOCOLS,
    ResponseHead,
)
from gateway_service.http1.streams import Stream
from gateway_service.http1.write_batch import WriteBatch
from gateway_service.upstreams.connections.request_sender import RequestSender, State
from gateway_service.upstreams.connections.response import (
    Result,
    UpstreamError,
    UpstreamResponse,
)
from gateway_service.upstreams.failures import FailureKind

_RECEIVED_AT_ONCE: Final = 212_992
"""Bytes of SO_RCVBUF, which the system doubles for what it keeps beside them.

As many as Linux lets anybody set. One read takes up to 256 KiB, which are held for a
client that is slow to take them; with half as many, large bodies cost a seventh more.
"""


_REST_AT_ONCE: Final = 65_536

# What each request needs: Python 3.11 takes 0.2 us to find a member in its Enum.
_IDLE: Final = State.IDLE
_HEAD: Final = State.HEAD
_END: Final = Signal.END

_RESPONDING: Final = (State.HEAD, State.BODY)


class UpstreamConnection(RequestSender):
    """Sends requests and reads responses, strictly.

    What is not exactly one well-framed response fails with `BAD_ANSWER`, and the
    connection is never used again. It is an `asyncio.Protocol` in all but its base, as
    `ClientConnection` is.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: WriteBatch,
        limits: HeadLimits,
        on_lost: Callable[["UpstreamConnection"], None],
    ) -> None:
        super().__init__(loop, batch, limits)
        self._on_lost = on_lost

    def abort(self) -> None:
        """Close immediately, discarding the response."""
        self._handler = None
        self._fail(UpstreamError(FailureKind.RESET))

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._state = _IDLE
        self._opening = self._handler = None
        self.deadline = NEVER
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVED_AT_ONCE)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        try:
            if self._state is _HEAD and self._batch_number != self._batch.number:
                self._reader.receive(data)
                self._read_head()
                return
            match self._state:
                case State.HEAD:
                    # Nothing was sent yet: this belongs to another request, or to none.
                    self._fail(self._reset())
                case State.BODY:
                    self._reader.receive(data)
                    self._read_body()
                case State.TUNNEL:
                    self._expect_more()
                    self._body.feed(data)
                case State.OPENING | State.IDLE | State.CLOSED:
                    self.abort()
        except MalformedError:
            self._fail(UpstreamError(FailureKind.BAD_ANSWER))

    def eof_received(self) -> None:
        """Let the connection close: a response may end with it."""
        if self._state is _HEAD and self._is_in_batch:
            self._fail(self._reset())

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the pending response, unless it has come after all."""
        if exc is not None and self._state in _RESPONDING:
            self._read_rest()
        state, self._state = self._state, State.CLOSED
        self._write_buffer.lost()
        self._on_lost(self)
        match state:
            case State.HEAD:
                self._deliver(self._reset())
            case State.BODY if exc is None and self._is_body_complete():
                self._body.end()
            case State.BODY:
                self._body.fail(UpstreamError(FailureKind.BAD_ANSWER))
            case State.TUNNEL:
                self._body.end()
            case State.OPENING | State.IDLE | State.CLOSED:
                pass

    def _read_rest(self) -> None:
        """Read what came before the connection broke.

        A replica may refuse a body and leave while more of it is written. The error
        of that write comes before its response is read.
        """
        sock = self._transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            while data := os.read(sock.fileno(), _REST_AT_ONCE):
                self.data_received(data)

    @property
    def _is_in_batch(self) -> bool:
        """Whether the request waits to be written, and ends with the connection."""
        return self._is_sent and self._batch_number == self._batch.number

    def _reset(self) -> UpstreamError:
        """Return the error of a connection that ended before a response's head."""
        return UpstreamError(FailureKind.RESET, is_unsent=self._is_in_batch)

    def on_deadline(self) -> None:
        """Give up what takes too long.

        Waits for the client are bounded on the client's connection.
        """
        now = self._loop.time()
        waits_for_client = self._waits_for_client
        match self._state:
            case State.HEAD | State.BODY if waits_for_client and now < self._total_at:
                self._expect_more()
            case State.OPENING | State.HEAD if now < self._due_at:
                self.deadline = self._due_at
                if self._handler is not None:
                    self._handler.on_slow(is_gone=False)
            case State.OPENING:
                if self._opening is not None:
                    self._opening.cancel()
            case State.HEAD | State.BODY:
                self._fail(
                    UpstreamError(
                        FailureKind.TIMEOUT,
                        is_late=True,
                        is_clients_fault=waits_for_client,
                    )
                )
            case State.IDLE | State.TUNNEL | State.CLOSED:
                self.abort()

    @property
    def _waits_for_client(self) -> bool:
        """Whether the client has yet to send its request, or to take its response."""
        is_untaken = self._state is State.BODY and self._body.is_paused
        return is_untaken or not (self._is_sent or self._write_buffer.is_full)

    # Reading a response

    def _read_head(self) -> None:
        head = self._reader.next_event()
        if not isinstance(head, ResponseHead):
            return
        if head.status < FIRST_FINAL_STATUS:
            self._read_interim(head)
            return
        self._closes = head.closes
        body = self._reader.whole_body()
        if body is None:
            self._begin_body(head)
        else:
            self._finish()
            self._deliver(UpstreamResponse(head, body))

    def _read_interim(self, head: ResponseHead) -> None:
        if head.status == SWITCHING_PROTOCOLS:
            self._begin_stream(State.TUNNEL, head, self._reader.take_buffer())
        else:
            if self._handler is not None:
                self._handler.on_interim(head)
            self._read_head()

    def _begin_body(self, head: ResponseHead) -> None:
        """Deliver the body received so far, which may be all of it."""
        first = b""
        event = self._reader.next_event() if head.length else _END
        if isinstance(event, bytes):
            first, event = event, self._reader.next_event()
        if event is _END:
            self._finish()
            self._deliver(UpstreamResponse(head, first))
        else:
            self._begin_stream(State.BODY, head, first)

    def _begin_stream(self, state: State, head: ResponseHead, first: bytes) -> None:
        self._state = state
        self._body = body = Stream(self._transport, self._loop)
        self._expect_more()
        if state is State.BODY:
            read_long_body(self._transport)
        self._deliver(UpstreamResponse(head, body))
        body.feed(first)

    @property
    def body_left(self) -> int:
        """Bytes of the response's body that are to come."""
        return self._reader.body_left if self._state is State.BODY else 0

    def body_received(self, data: memoryview) -> None:
        """Pass on some of it."""
        self._reader.skip_body(len(data))
        self._body.feed(data)
        self._read_body()

    def _read_body(self) -> None:
        event = self._reader.next_event()
        if isinstance(event, bytes):
            self._body.feed(event)
            event = self._reader.next_event()
        if event is _END:
            self._finish()
            self._body.end()
        else:
            self._expect_more()

    def _is_body_complete(self) -> bool:
        """Whether a body ends with its connection."""
        try:
            self._reader.receive_end()
        except MalformedError:
            return False
        return True

    def _deliver(self, result: Result) -> None:
        handler, self._handler = self._handler, None
        if handler is not None:
            handler.on_result(result)

    def _finish(self) -> None:
        """Go back to waiting after a response, if nothing speaks against it.

        Some servers send a body in response to HEAD. As it ends with its head, nothing
        of that reaches anybody.
        """
        if self._reader.buffer and not self._reader.is_for_head:
            raise MalformedError("Something follows the response.")
        if self._is_sent and not self._closes and not self._reader.buffer:
            self._state = _IDLE
            self.deadline = NEVER
        else:
            self.close()

    def _fail(self, error: UpstreamError) -> None:
        """Close immediately, and fail the pending response."""
        state, self._state = self._state, State.CLOSED
        self._transport.abort()
        match state:
            case State.HEAD:
                self._deliver(error)
            case State.BODY | State.TUNNEL:
                self._body.fail(error)
            case State.OPENING | State.IDLE | State.CLOSED:
                pass
