"""Long bodies are read into one buffer, which all connections have in common."""

import asyncio
from typing import Final, Protocol, cast

from gateway_service.http1.parsing.grammar import HEAD_END

_LONG: Final = 65_536
"""Bytes of a body that are worth a change of the protocol, and one back."""

_BYTES: Final = bytearray(262_144)
_BUFFER: Final = memoryview(_BYTES)
"""What is read into it is passed on, or copied, before anything else is read.

Python would take `bytes` of this size from the system for each read.
"""


class BodyConnection(Protocol):
    """A connection on which long bodies are received: an `asyncio.Protocol`, too."""

    @property
    def body_left(self) -> int:
        """Bytes to come that are a body and nothing else; 0 if that is unknown."""

    def body_received(self, data: memoryview) -> None:
        """Take some of them; ``data`` is overwritten afterwards."""

    def data_received(self, data: bytes) -> None:
        """Take bytes of any kind."""

    def eof_received(self) -> bool | None:
        """Record that the peer sends no more."""

    def pause_writing(self) -> None:
        """Let writers wait."""

    def resume_writing(self) -> None:
        """Let writers go on."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Record that the connection is gone."""


def read_long_body(transport: asyncio.Transport, first_read: int = len(_BYTES)) -> None:
    """Read into the common buffer if much of a body is to come.

    ``first_read`` is how many bytes are read at most where the next head is awaited.
    """
    protocol = transport.get_protocol()
    if isinstance(protocol, BodyReceiver):
        return
    connection = cast("BodyConnection", protocol)
    if connection.body_left > _LONG:
        transport.set_protocol(BodyReceiver(connection, transport, first_read))


class BodyReceiver(asyncio.BufferedProtocol):
    """Stands in for a connection that receives long bodies, until one is short.

    The connection is not a `BufferedProtocol` itself: that makes small messages slower.
    """

    def __init__(
        self,
        connection: BodyConnection,
        transport: asyncio.Transport,
        first_read: int,
    ) -> None:
        self._connection = connection
        self._transport = transport
        self._first_buffer = _BUFFER[:first_read]

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's
        """Return the common buffer, or less of it before a head."""
        return _BUFFER if self._connection.body_left else self._first_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Pass on what was read: some of a body, or a head and perhaps some of one."""
        connection, at = self._connection, 0
        if not connection.body_left:
            end = _BYTES.find(HEAD_END, 0, nbytes) if nbytes > _LONG else -1
            at = nbytes if end < 0 else end + len(HEAD_END)
            connection.data_received(bytes(_BUFFER[:at]))
            if connection.body_left <= _LONG:
                self._transport.set_protocol(cast("asyncio.Protocol", connection))
        if nbytes - at > connection.body_left:
            connection.data_received(bytes(_BUFFER[at:nbytes]))
        elif nbytes > at:
            connection.body_received(_BUFFER[at:nbytes])

    def eof_received(self) -> bool | None:
        """Hand on."""
        return self._connection.eof_received()

    def pause_writing(self) -> None:
        """Hand on."""
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        """Hand on."""
        self._connection.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Hand on."""
        self._connection.connection_lost(exc)
