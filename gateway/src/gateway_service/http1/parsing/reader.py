"""Cut the bytes of a connection into messages: bytes in, events out, no I/O.

A message is one head, pieces of its body, and `Signal.END`. Whoever owns the connection
gives bytes to `receive` and asks for events until it gets `Signal.NEED_DATA`. After an
`END` it decides when to ask for the next message; until then bytes are only held.
"""

from abc import ABC, abstractmethod
from enum import Enum
from typing import Final, Generic, Protocol, TypeVar

from gateway_service.http1.parsing.bodies import (
    BodyDecoder,
    LengthDecoder,
    body_decoder,
)
from gateway_service.http1.parsing.enums import plain_members
from gateway_service.http1.parsing.fields import FieldPolicy
from gateway_service.http1.parsing.grammar import (
    CRLF,
    HEAD_END,
    MalformedError,
    check_unfinished_head,
)
from gateway_service.http1.parsing.limits import HeadLimits
from gateway_service.http1.parsing.requests import Request, read_request
from gateway_service.http1.parsing.responses import ResponseHead, read_response

INTERIM_LIMIT: Final = 16
"""1xx responses before the final one; more are a flood."""

_NO_BODY: Final = LengthDecoder(0)


@plain_members
class Signal(Enum):
    """An event that carries nothing."""

    NEED_DATA = 1
    """Nothing more can be said before more bytes come."""
    END = 2
    """The message is complete."""


class Head(Protocol):
    """The head of a message, as far as its body depends on it."""

    length: int
    """Of the body: bytes, `CHUNKED` or `UNTIL_CLOSE`."""


HeadT = TypeVar("HeadT", bound=Head)


class MessageReader(ABC, Generic[HeadT]):
    """Reads one message after the other from the bytes of one direction.

    Once it has raised `MalformedError` nothing can be read any more.
    """

    __slots__ = ("_buffer", "_decoder", "_scanned", "limits")

    def __init__(self, limits: HeadLimits) -> None:
        self.limits = limits
        """Of the next head; they may be exchanged between two messages."""
        self._buffer = b""
        self._scanned = 0
        """Bytes of the buffer in which no head ends."""
        self._decoder: BodyDecoder | None = None
        """Of the message whose head has been read, until its end."""

    @property
    def buffer(self) -> bytes:
        """The bytes that no event has covered yet."""
        return self._buffer

    def receive(self, data: bytes) -> None:
        """Take bytes that came."""
        self._buffer = self._buffer + data if self._buffer else data

    def receive_end(self) -> None:
        """Take note that no more bytes come; `next_event` says what that means."""
        if self._decoder is not None:
            self._decoder.end()

    def take_buffer(self) -> bytes:
        """Return the bytes that were not read, for another protocol or for nobody."""
        buffer, self._buffer = self._buffer, b""
        return buffer

    def next_event(self) -> HeadT | bytes | Signal:
        """Return the next head, piece of a body or signal.

        Raises
        ------
        MalformedError
            What came is not one well-framed message.
        """
        decoder = self._decoder
        if decoder is None:
            return self._next_head()
        if not decoder.complete:
            if not self._buffer:
                return Signal.NEED_DATA
            body = decoder.feed(self._buffer)
            self._buffer = decoder.rest
            if body:
                return body
            if not decoder.complete:
                return Signal.NEED_DATA
        self._decoder = None
        return Signal.END

    @abstractmethod
    def _read(self, head: bytes) -> HeadT | None:
        """Return what a head says; None skips it."""

    def _next_head(self) -> HeadT | Signal:
        while (end := self._buffer.find(HEAD_END, self._scanned)) >= 0:
            head = self._read(self._buffer[:end])
            self._buffer = self._buffer[end + len(HEAD_END) :]
            self._scanned = 0
            if head is not None:
                self._decoder = body_decoder(head.length) if head.length else _NO_BODY
                return head
        check_unfinished_head(self._buffer, self.limits)
        self._scanned = max(0, len(self._buffer) - len(HEAD_END) + 1)
        return Signal.NEED_DATA


class RequestReader(MessageReader[Request]):
    """Reads what a client sends."""

    __slots__ = ("_fields",)

    def __init__(self, limits: HeadLimits, fields: FieldPolicy) -> None:
        super().__init__(limits)
        self._fields = fields

    def _next_head(self) -> Request | Signal:
        """Skip empty lines before a request (RFC 9112, 2.2)."""
        while self._buffer.startswith(CRLF):
            self._buffer = self._buffer[len(CRLF) :]
        return super()._next_head()

    def _read(self, head: bytes) -> Request:
        return read_request(head, self.limits, self._fields)


class ResponseReader(MessageReader[ResponseHead]):
    """Reads what an upstream sends; `expect` says which request it is about."""

    __slots__ = ("_fields", "_interim_limit", "_interims", "_is_upgrade", "_method")

    def __init__(
        self,
        limits: HeadLimits,
        fields: FieldPolicy,
        interim_limit: int = INTERIM_LIMIT,
    ) -> None:
        super().__init__(limits)
        self._fields = fields
        self._interim_limit = interim_limit
        self._interims = 0
        self._method = ""
        self._is_upgrade = False

    def expect(self, method: str, *, is_upgrade: bool) -> None:
        """Expect the response to a request that was sent."""
        self._method = method
        self._is_upgrade = is_upgrade
        self._interims = 0

    def _read(self, head: bytes) -> ResponseHead | None:
        """Skip interim responses, but for the one that switches protocols."""
        response = read_response(
            head, self.limits, self._fields, self._method, is_upgrade=self._is_upgrade
        )
        if response is None:
            self._interims += 1
            if self._interims > self._interim_limit:
                raise MalformedError("There are too many interim responses.")
        return response
