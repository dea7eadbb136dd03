"""One connection to a replica: one request at a time, one answer to each."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Final, Protocol, cast

from gateway_service.config.model import Timeouts
from gateway_service.upstreams.failures import FailureKind
from gateway_service.upstreams.response import Answer, UpstreamError
from gateway_service.upstreams.response_fields import RESPONSE_FIELDS
from service_kit.edge.batch import WriteBatch
from service_kit.edge.deadlines import NEVER
from service_kit.edge.decoders import BodyDecoder, body_decoder
from service_kit.edge.fields import WEBSOCKET, body_line, connection_options
from service_kit.edge.framing import (
    BODILESS,
    HEAD_END,
    UNTIL_CLOSE,
    HeadLimits,
    MalformedError,
    StatusLine,
    parse_status_line,
    response_body_length,
    split_lines,
)
from service_kit.edge.streams import Outlet, Stream

_HEAD_LIMITS: Final = HeadLimits()
_INTERIM_LIMIT: Final = 16
"""1xx answers before the real one; more are a flood."""

_SWITCHING_PROTOCOLS: Final = 101
_FIRST_FINAL_STATUS: Final = 200
_NO_CONTENT: Final = 204

_TUNNEL_IDLE: Final = 600.0
"""Seconds without an octet in either direction; WebSocket peers ping more often."""


_RECEIVED_AT_ONCE: Final = 98_304
"""Octets of SO_RCVBUF, which the system doubles for what it keeps beside them.

One read takes all that there is, and is held for a client that is slow to take it.
"""


class Asker(Protocol):
    """Who asks, and what about."""

    method: str
    timeouts: Timeouts
    total_at: float
    """When all must be over, on the loop's clock."""
    patience: float
    """Seconds after which `gives_up` is asked."""
    is_whole: bool
    """Whether the request is all there is to send."""
    is_upgrade: bool

    def answered(self, outcome: Answer | UpstreamError) -> None:
        """Take the answer, or why there is none; called once."""

    def gives_up(self) -> bool:
        """Say whether to wait for the head no longer; else the wait goes on."""


class _Phase(Enum):
    IDLE = 1
    HEAD = 2
    BODY = 3
    TUNNEL = 4
    CLOSED = 5


class UpstreamConnection(asyncio.Protocol):
    """Sends requests and reads answers, strictly.

    What is not exactly one well-framed answer fails with `BAD_ANSWER`, and the
    connection is never used again.
    """

    _transport: asyncio.Transport
    _timeouts: Timeouts
    _stream: Stream
    _decoder: BodyDecoder

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: WriteBatch,
        on_lost: Callable[["UpstreamConnection"], None],
    ) -> None:
        self._loop = loop
        self._batch = batch
        self._on_lost = on_lost
        self._outlet = Outlet(loop)
        self._phase = _Phase.IDLE
        self._buffer = b""
        self._scanned = 0
        self._interim = 0
        self._asker: Asker | None = None
        self._method = ""
        self._length = 0
        self._batch_number = 0
        self._is_upgrade = False
        self._is_sent = True
        self._stays_open = True
        self._head_at = NEVER
        self._total_at = NEVER
        self.deadline = NEVER

    @property
    def is_usable(self) -> bool:
        """Whether a request may be sent.

        Not while reading is paused: a client left the end of an answer untaken.
        """
        return (
            self._phase is _Phase.IDLE
            and self._transport.is_reading()
            and not self._transport.is_closing()
        )

    def ask(self, request: bytes, asker: Asker) -> None:
        """Send a request, or the beginning of one; its answer is told to ``asker``.

        Who asks has the connection to itself until it gives it back to its pool.
        """
        self._phase = _Phase.HEAD
        self._asker = asker
        self._method = asker.method
        self._timeouts = asker.timeouts
        self._total_at = asker.total_at
        self._is_sent = asker.is_whole
        self._is_upgrade = asker.is_upgrade
        self._batch.add(self._transport, request)
        self._batch_number = self._batch.number
        now = self._loop.time()
        self._head_at = min(now + asker.timeouts.response_head, asker.total_at)
        self.deadline = min(self._head_at, now + asker.patience)

    def give_up(self) -> None:
        """Wait for the head no longer, if it is waited for: the replica is gone."""
        if self._phase is _Phase.HEAD:
            self._fail(UpstreamError(FailureKind.UNREACHABLE))

    async def send(self, data: bytes) -> None:
        """Send a piece of the request's body, waiting while the replica is slow.

        Raises
        ------
        ConnectionResetError
            The connection is gone, perhaps after an answer that came early.
        """
        if self._transport.is_closing():
            raise ConnectionResetError
        self._batch.flush()
        self._transport.write(data)
        self._expect_more()
        await self._outlet.drain()

    def sent(self) -> None:
        """Say that the request is complete."""
        self._is_sent = True
        if self._phase is _Phase.HEAD:
            head_at = self._loop.time() + self._timeouts.response_head
            self.deadline = self._head_at = min(head_at, self._total_at)

    def abort(self) -> None:
        """Close at once: nobody wants what may still come."""
        self._asker = None
        self._fail(UpstreamError(FailureKind.RESET))

    def close(self) -> None:
        """Close a connection that has nothing to do."""
        self._phase = _Phase.CLOSED
        self._transport.close()

    def _expect_more(self) -> None:
        idle = self._timeouts.idle
        if self._phase is _Phase.TUNNEL:
            idle, self._total_at = _TUNNEL_IDLE, NEVER
        self.deadline = min(self._loop.time() + idle, self._total_at)

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVED_AT_ONCE)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        try:
            match self._phase:
                case _Phase.HEAD if self._batch_number == self._batch.number:
                    # Nothing was sent yet, so this answers another request, or none.
                    self._fail(UpstreamError(FailureKind.RESET))
                case _Phase.HEAD:
                    self._read_head(data)
                case _Phase.BODY:
                    self._read_body(data)
                case _Phase.TUNNEL:
                    self._expect_more()
                    self._stream.feed(data)
                case _Phase.IDLE | _Phase.CLOSED:
                    self.abort()
        except MalformedError:
            self._fail(UpstreamError(FailureKind.BAD_ANSWER))

    def pause_writing(self) -> None:
        """Make `send` wait."""
        self._outlet.pause()

    def resume_writing(self) -> None:
        """Let `send` go on."""
        self._outlet.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        phase, self._phase = self._phase, _Phase.CLOSED
        self._outlet.lost()
        self._on_lost(self)
        match phase:
            case _Phase.HEAD:
                self._tell(UpstreamError(FailureKind.RESET))
            case _Phase.BODY if self._length == UNTIL_CLOSE and exc is None:
                self._stream.end()
            case _Phase.BODY:
                self._stream.fail(UpstreamError(FailureKind.BAD_ANSWER))
            case _Phase.TUNNEL:
                self._stream.end()
            case _Phase.IDLE | _Phase.CLOSED:
                pass

    def on_deadline(self) -> None:
        """Give up what takes too long."""
        now = self._loop.time()
        match self._phase:
            case _Phase.HEAD if now < self._head_at and not self._is_given_up():
                self.deadline = self._head_at
            case _Phase.BODY if self._stream.is_paused and now < self._total_at:
                self._expect_more()
            case _Phase.HEAD | _Phase.BODY:
                self._fail(UpstreamError(FailureKind.TIMEOUT, in_time=False))
            case _Phase.IDLE | _Phase.TUNNEL | _Phase.CLOSED:
                self.abort()

    def _is_given_up(self) -> bool:
        return self._asker is None or self._asker.gives_up()

    # Reading an answer

    def _read_head(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        while (end := data.find(HEAD_END, self._scanned)) >= 0:
            lines = iter(split_lines(data[:end], _HEAD_LIMITS))
            start = parse_status_line(next(lines))
            data = data[end + len(HEAD_END) :]
            if start.status >= _FIRST_FINAL_STATUS:
                self._begin(start, lines, data)
                return
            if start.status == _SWITCHING_PROTOCOLS:
                self._begin_tunnel(lines, data)
                return
            self._scanned = 0
            self._interim += 1
            if self._interim > _INTERIM_LIMIT:
                raise MalformedError("There are too many interim answers.")
        if len(data) > _HEAD_LIMITS.head:
            raise MalformedError("The head is too large.")
        self._buffer = data
        self._scanned = max(0, len(data) - len(HEAD_END) + 1)

    def _begin(self, start: StatusLine, head: Iterator[bytes], rest: bytes) -> None:
        lines, values = RESPONSE_FIELDS.sort(head)
        lengths = values.get(b"content-length", [])
        codings = values.get(b"transfer-encoding", [])
        length = response_body_length(start, self._method, lengths, codings)
        answer = Answer(start.status, lines, values, length, None, rest)
        if self._method == "HEAD" or start.status in BODILESS:
            is_told = lengths and start.status != _NO_CONTENT
            answer.bodiless_framing = body_line(int(lengths[0])) if is_told else b""
        self._length = length
        self._buffer = b""
        self._interim = self._scanned = 0
        self._stays_open = (
            not start.is_http_10
            and length != UNTIL_CLOSE
            and b"close" not in connection_options(values)
        )
        if len(rest) != length:
            decoder = body_decoder(length)
            answer.body = decoder.feed(rest)
            if not decoder.complete:
                answer.body = self._begin_body(decoder, answer.body)
            elif decoder.rest:
                raise MalformedError("Something follows the answer.")
            else:
                answer.length = len(answer.body)
        if isinstance(answer.body, bytes):
            self._finish()
        self._tell(answer)

    def _begin_body(self, decoder: BodyDecoder, first: bytes) -> Stream:
        self._phase = _Phase.BODY
        self._decoder = decoder
        self._stream = Stream(self._transport, self._loop)
        self._stream.feed(first)
        self._expect_more()
        return self._stream

    def _read_body(self, data: bytes) -> None:
        decoder = self._decoder
        self._stream.feed(decoder.feed(data))
        if not decoder.complete:
            self._expect_more()
        elif decoder.rest:
            raise MalformedError("Something follows the answer.")
        else:
            stream = self._stream
            self._finish()
            stream.end()

    def _begin_tunnel(self, head: Iterator[bytes], rest: bytes) -> None:
        if not self._is_upgrade:
            raise MalformedError("Nobody asked to switch protocols.")
        lines, values = RESPONSE_FIELDS.sort(head)
        if b",".join(values.get(b"upgrade", [])).lower() != WEBSOCKET:
            raise MalformedError("Nobody asked to switch to this protocol.")
        self._phase = _Phase.TUNNEL
        self._stream = Stream(self._transport, self._loop)
        self._stream.feed(rest)
        self._expect_more()
        self._tell(Answer(_SWITCHING_PROTOCOLS, lines, values, 0, None, self._stream))

    def _tell(self, outcome: Answer | UpstreamError) -> None:
        asker, self._asker = self._asker, None
        if asker is not None:
            asker.answered(outcome)

    def _finish(self) -> None:
        """Keep the connection after a complete answer, if nothing speaks against it."""
        if self._stays_open and self._is_sent:
            self._phase = _Phase.IDLE
            self.deadline = NEVER
        else:
            self.close()

    def _fail(self, error: UpstreamError) -> None:
        """Close at once, and tell whoever waits why."""
        phase, self._phase = self._phase, _Phase.CLOSED
        self._transport.abort()
        match phase:
            case _Phase.HEAD:
                self._tell(error)
            case _Phase.BODY | _Phase.TUNNEL:
                self._stream.fail(error)
            case _Phase.IDLE | _Phase.CLOSED:
                pass
