"""The sending half of a client's connection: responses, and the connection's end."""

import asyncio
import socket
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final, cast

from gateway_service.http1.parsing.limits import ClientTimeouts
from gateway_service.http1.states import TRANSITIONS, Event, State
from gateway_service.http1.streams import HIGH_WATER, Stream, WriteBuffer
from gateway_service.http1.write_batch import WriteBatch
from service_kit.requests.addresses import client_network, normalised

_ON_ITS_WAY: Final = 0.5
"""Seconds that an idle connection stays open when the server stops."""

LINGER: Final = 2.0
"""Seconds in which a client may still send, so that it can read the response."""

_BEGINNING: Final = b"HTTP/1.1 "
"""What every response begins with, whatever it will be."""

_TCP_CLOSE: Final = 7
"""The state of a connection that was reset, of `enum tcp_state` in Linux."""

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
"""SO_LINGER without time: closing sends RST."""


class Client(ABC):
    """A client as its exchanges see it.

    The receiving half, which decides what follows a response, is `ClientConnection`.
    """

    opening: asyncio.Task[None] | None = None
    """Opens the connection, with the TLS handshake if there is one; then None."""
    _transport: asyncio.Transport
    _on_drain: Callable[[], None] | None = None
    """Ends a tunnel when the server stops."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: WriteBatch,
        timeouts: ClientTimeouts,
        address: str,
    ) -> None:
        self.loop = loop
        self._timeouts = timeouts
        self._batch = batch
        self._write_buffer = WriteBuffer(loop)
        self._state = State.OPENING
        self._is_begun = False
        """Whether `_BEGINNING` of the next response was sent."""
        self.deadline = loop.time() + timeouts.head
        """When the present wait ends, on the loop's clock."""
        self.address = normalised(address)
        """The IP address at the other end."""
        self.network = client_network(self.address)
        """What counts as one client."""
        self.is_secure = False
        """Whether the connection is TLS."""

    @property
    def is_opening(self) -> bool:
        """Whether the connection, or its TLS handshake, is not complete yet."""
        return self._state is State.OPENING

    @property
    def is_idle(self) -> bool:
        """Whether the connection can be closed without harm to a request."""
        return self._state is State.IDLE and not self._write_buffer.is_full

    @property
    @abstractmethod
    def can_give_way(self) -> bool:
        """Whether nothing was done yet for a request on it."""

    @property
    @abstractmethod
    def held(self) -> int:
        """Bytes held for it: pipelined requests, bodies, and unsent responses."""

    @property
    @abstractmethod
    def proxied_client(self) -> str:
        """The client behind a trusted proxy whose request is handled; else empty."""

    @property
    @abstractmethod
    def siblings(self) -> int:
        """How many connections its client has here, including this one; 0 for a proxy.

        Those at other workers are not counted: each worker has bounds of its own.
        """

    @property
    @abstractmethod
    def stays_open(self) -> bool:
        """Whether a further request may follow on the connection."""

    @abstractmethod
    def end_response(self) -> None:
        """Continue after a complete response."""

    @abstractmethod
    def adopt_limits(self) -> None:
        """Apply the server's current limits, timeouts and field policy."""

    @abstractmethod
    def open_tunnel(self, on_drain: Callable[[], None]) -> Stream:
        """Return what the client sends from now on, no longer HTTP.

        ``on_drain`` is called when the server stops, or now if it is stopping.
        """

    @abstractmethod
    def on_deadline(self) -> None:
        """Give up the present wait."""

    def write(self, data: bytes) -> None:
        """Send bytes to the client."""
        if self._is_begun:
            data = self._after_beginning(data)
        self._batch.flush()
        if not self.is_secure:
            self._transport.write(data)
            return
        for start in range(0, len(data), HIGH_WATER):
            # TLS keeps, and so counts, what the socket's own buffer has no place for.
            self._transport.write(data[start : start + HIGH_WATER])

    def write_now(self, data: bytes | memoryview) -> int:
        """Send what the client's system takes at once; return how many bytes."""
        if self.is_secure or self._is_begun:
            return 0
        return self._batch.write_now(self._transport, data)

    def write_whole(self, data: bytes) -> None:
        """Send a whole response."""
        if self.is_secure and len(data) > HIGH_WATER:
            self.write(data)
            return
        if self._is_begun:
            data = self._after_beginning(data)
        self._batch.add(self._transport, data)

    def look_whether_gone(self) -> bool:
        """Return whether a client that has ended its sending half is gone.

        One that ended its sending half alone looks the same as one that left, until
        something is sent: the system of a client that left resets the connection, and
        that is seen in the next look.
        """
        if not self._is_begun:
            self._is_begun = True
            self._batch.flush()
            self._transport.write(_BEGINNING)
        sock = self._transport.get_extra_info("socket")
        option = getattr(socket, "TCP_INFO", None)
        if sock is None or option is None:
            return False
        state: int = sock.getsockopt(socket.IPPROTO_TCP, option, 1)[0]
        return state == _TCP_CLOSE

    def _after_beginning(self, data: bytes) -> bytes:
        self._is_begun = False
        return data.removeprefix(_BEGINNING)

    def pause_writing(self) -> None:
        """Bound how long the client may take to read."""
        self._write_buffer.pause()
        self.deadline = self.loop.time() + self._timeouts.send

    async def drain(self) -> None:
        """Wait until the client has taken most of what was written."""
        if self._write_buffer.is_full:
            await self._write_buffer.drain()

    def close_when_idle(self) -> None:
        """Close soon, unless a request is handled or on its way."""
        if self._state is State.IDLE:
            self.deadline = min(self.deadline, self.loop.time() + _ON_ITS_WAY)
        elif self._on_drain is not None:
            self._on_drain()

    def give_way(self) -> None:
        """Close a connection that can give way."""
        if self.is_opening and self.opening is not None:
            self.opening.cancel()
        else:
            self.close()

    def close(self) -> None:
        """Close once the client has taken what was written, or does not in time."""
        self._move(Event.CLOSED)
        self.deadline = self.loop.time() + self._timeouts.send
        self._batch.flush()
        self._transport.close()

    def _linger(self) -> None:
        """Let the client read the response before the connection is closed.

        Closing while it still sends would reset the connection, and the response too.
        """
        self._batch.flush()
        if not self._transport.can_write_eof():
            self.close()
            return
        self._move(Event.LAST_SENT)
        if not self._write_buffer.is_full:
            self.deadline = self.loop.time() + LINGER
        self._transport.resume_reading()
        self._transport.write_eof()

    def cut(self) -> None:
        """End the connection so that the client sees it broken."""
        if self._state is State.OPENING:
            return  # the acceptor that opens it ends it
        self._move(Event.CLOSED)
        sock = self._transport.get_extra_info("socket")
        if sock is not None and not self._transport.is_closing():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()

    def _connect(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._move(Event.OPENED)
        self.is_secure = transport.get_extra_info("ssl_object") is not None
        if self.is_secure:
            secure: Any = transport  # its own bounds are 512 and 256 KiB
            secure.set_write_buffer_limits(HIGH_WATER)
            secure.set_read_buffer_limits(HIGH_WATER)

    @property
    def _held_by_transport(self) -> int:
        """Bytes that the client has not taken, and over TLS those not decrypted yet.

        TLS keeps bytes to send only while the socket's own buffer, which cannot be
        looked at, has its fill.
        """
        size = self._transport.get_write_buffer_size()
        if self.is_secure:
            secure: Any = self._transport
            size += HIGH_WATER if size else 0
            size += secure.get_read_buffer_size()
        return size

    def _move(self, event: Event) -> None:
        self._state = TRANSITIONS[event][self._state]
