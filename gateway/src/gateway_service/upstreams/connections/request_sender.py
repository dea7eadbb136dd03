"""The sending half of a connection to a replica, and how long it waits."""

import asyncio
import os
from enum import Enum
from typing import Final

from gateway_service.config.model import Timeouts
from gateway_service.http1.deadlines import NEVER
from gateway_service.http1.parsing.limits import HeadLimits
from gateway_service.http1.parsing.reader import ResponseReader
from gateway_service.http1.streams import Stream, WriteBuffer
from gateway_service.http1.write_batch import WriteBatch
from gateway_service.upstreams.connections.response import (
    ResponseHandler,
    UpstreamRequest,
)
from gateway_service.upstreams.connections.response_fields import RESPONSE_FIELDS

_TUNNEL_IDLE: Final = 600.0
"""Seconds without a byte in either direction; WebSocket peers ping more often."""


class State(Enum):
    """What is expected of the replica."""

    OPENING = 0
    """That it accepts the connection."""
    IDLE = 1
    """Nothing: the connection waits in its pool."""
    HEAD = 2
    """The head of a response."""
    BODY = 3
    """The rest of a response."""
    TUNNEL = 4
    """Bytes of another protocol."""
    CLOSED = 5
    """Nothing more."""


# What each request needs: Python 3.11 takes 0.2 us to find a member in its Enum.
_IDLE: Final = State.IDLE
_HEAD: Final = State.HEAD


class RequestSender:
    """Sends one request at a time, and knows how long its response may take.

    What a replica sends back, `UpstreamConnection` reads.
    """

    _transport: asyncio.Transport
    _opening: asyncio.Task[object] | None
    """Opens the connection; then None."""
    _timeouts: Timeouts
    _body: Stream

    def __init__(
        self, loop: asyncio.AbstractEventLoop, batch: WriteBatch, limits: HeadLimits
    ) -> None:
        self._loop = loop
        self._batch = batch
        self._reader = ResponseReader(limits, RESPONSE_FIELDS)
        self._write_buffer = WriteBuffer(loop)
        self._state = State.OPENING
        self._handler: ResponseHandler | None = None
        self._batch_number = 0
        self._is_sent = True
        """Whether the request is complete."""
        self._closes = False
        """Whether the response is the last on this connection."""
        self._due_at = NEVER
        """When the connection, or the head of a response, is given up."""
        self._total_at = NEVER
        self.deadline = NEVER

    @property
    def is_usable(self) -> bool:
        """Whether a request may be sent.

        Not while reading is paused: a client left the end of a response untaken.
        """
        return (
            self._state is _IDLE
            and self._transport.is_reading()
            and not self._transport.is_closing()
        )

    def has_ended(self) -> bool:
        """Ask the system whether an idle connection ended, or got unasked bytes.

        If so it must be aborted: one of them is read here. The event loop may not have
        seen it yet. Costs 1 us.
        """
        sock = self._transport.get_extra_info("socket")
        try:
            os.read(sock.fileno(), 1)
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    def begin_opening(self, request: UpstreamRequest, handler: ResponseHandler) -> None:
        """Bound the present task, which opens the connection for a request."""
        self._opening = asyncio.current_task(self._loop)
        self._handler = handler
        self._expect_within(request.timeouts.connect, request)

    def send_request(self, request: UpstreamRequest, handler: ResponseHandler) -> None:
        """Send a request, or the beginning of one; ``handler`` gets the result.

        The sender has the connection to itself until it gives it back to its pool.
        """
        self._state = _HEAD
        self._timeouts = request.timeouts
        self._handler = handler
        self._total_at = request.total_at
        self._is_sent = request.is_whole
        self._reader.expect(request.method, is_upgrade=request.is_upgrade)
        self._batch.add(self._transport, request.data)
        self._batch_number = self._batch.number
        self._expect_within(request.timeouts.response_head, request)

    async def send(self, data: bytes) -> None:
        """Send a piece of the request's body, waiting while the replica is slow.

        Raises `ConnectionResetError`: the connection is gone, perhaps after an early
        response.
        """
        if self._transport.is_closing():
            raise ConnectionResetError
        self._batch.flush()
        self._transport.write(data)
        self._expect_more()
        await self._write_buffer.drain()

    def send_now(self, data: bytes | memoryview) -> int:
        """Send what can be sent of a piece without waiting; return how many bytes."""
        sent = self._batch.write_now(self._transport, data)
        if sent:
            self._expect_more()
        return sent

    def end_request(self) -> None:
        """Record that the request is complete."""
        self._is_sent = True
        if self._state is State.HEAD:
            due_at = self._loop.time() + self._timeouts.response_head
            self.deadline = self._due_at = min(due_at, self._total_at)

    def end_sending(self) -> None:
        """Let the replica see that nothing more comes, and go on reading."""
        if not self._transport.is_closing():
            self._transport.write_eof()

    def suspect(self) -> None:
        """Notify the handler of a pending response that the replica seems to be gone.

        The request may have been acted on, so the response is still awaited.
        """
        if self._state is State.HEAD and self._handler is not None:
            self._handler.on_slow(is_gone=True)

    def close(self) -> None:
        """Close a connection that has nothing to do."""
        self._state = State.CLOSED
        self._transport.close()

    def _expect_within(self, seconds: float, request: UpstreamRequest) -> None:
        now = self._loop.time()
        self._due_at = min(now + seconds, request.total_at)
        self.deadline = min(self._due_at, now + request.hedge_after)

    def _expect_more(self) -> None:
        idle = self._timeouts.idle
        if self._state is State.TUNNEL:
            idle, self._total_at = _TUNNEL_IDLE, NEVER
        self.deadline = min(self._loop.time() + idle, self._total_at)

    def pause_writing(self) -> None:
        """Make `send` wait."""
        self._write_buffer.pause()

    def resume_writing(self) -> None:
        """Let `send` go on."""
        self._write_buffer.resume()
