"""Which bytes of a connection are a message's body."""

import re
from typing import Final, Protocol

from gateway_service.http1.parsing.grammar import (
    CHUNKED,
    CRLF,
    HEAD_END,
    UNTIL_CLOSE,
    MalformedError,
    check_line,
    check_line_ends,
    field_name,
    split_lines,
)
from gateway_service.http1.parsing.limits import ChunkLimits, HeadLimits

_CHUNK_LINE: Final = re.compile(
    rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?"
)

_CHUNK_LINE_LIMIT: Final = 256
"""Bytes of a chunk's size with its extensions, which nobody uses."""
_TRAILERS_LIMIT: Final = 8_192


class BodyDecoder(Protocol):
    """Takes the bytes of a connection and says which of them are the body."""

    complete: bool
    rest: bytes
    """What was not read: the beginning of a line, more chunks, or what follows."""

    def feed(self, data: bytes) -> bytes:
        """Return the body's bytes in ``data``."""

    def end(self) -> None:
        """Raise MalformedError if the body is incomplete when the peer ends."""


def _incomplete() -> MalformedError:
    return MalformedError("The body ended before its end.")


def body_decoder(length: int, limits: ChunkLimits) -> BodyDecoder:
    """Return the decoder for what `request_body_length` and its twin return."""
    return ChunkedDecoder(limits) if length == CHUNKED else LengthDecoder(length)


class LengthDecoder:
    """A body of known length, or one that ends with the connection."""

    __slots__ = ("complete", "left", "rest")

    def __init__(self, length: int) -> None:
        self.left = length
        """Bytes to come, or `UNTIL_CLOSE`."""
        self.complete = length == 0
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """Return the body's bytes in ``data``."""
        if self.left == UNTIL_CLOSE:
            return data
        if len(data) < self.left:
            self.left -= len(data)
            return data
        self.complete = True
        left, self.left = self.left, 0
        if len(data) == left:
            return data
        self.rest = data[left:]
        return data[:left]

    def skip(self, size: int) -> None:
        """Count bytes of the body that somebody else has taken."""
        self.left -= size
        self.complete = not self.left

    def end(self) -> None:
        """Complete a body that ends with the connection."""
        if not self.complete and self.left != UNTIL_CLOSE:
            raise _incomplete()
        self.complete = True


class ChunkedDecoder:
    """A body in chunks (RFC 9112, 7.1). Extensions and trailers are dropped."""

    __slots__ = ("_extensions", "_left", "_limits", "_overhead", "complete", "rest")

    _AT_SIZE: Final = 0
    _AT_TRAILERS: Final = -1

    def __init__(self, limits: ChunkLimits) -> None:
        self._limits = limits
        self._left = self._AT_SIZE
        """Bytes up to the end of this chunk, its line end included."""
        self._extensions = 0
        self._overhead = 0
        """Bytes of framing, less those of payload."""
        self.complete = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """Return the body's bytes in ``data``, from a limited number of chunks."""
        at = 0
        pieces: list[bytes] = []
        while at < len(data) and len(pieces) < self._limits.at_once:
            if self._left == self._AT_SIZE:
                end = self._line_end(data, at)
                if end < 0:
                    break
                self._left = self._chunk_size(data[at:end])
                at = end + len(CRLF)
            elif self._left == self._AT_TRAILERS:
                at = self._skip_trailers(data, at)
                break
            else:
                piece = data[at : at + self._left]
                at += len(piece)
                pieces.append(self._without_line_end(piece))
        self.rest = data[at:]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def end(self) -> None:
        """Raise MalformedError unless the last chunk was received."""
        if not self.complete:
            raise _incomplete()

    def _without_line_end(self, piece: bytes) -> bytes:
        """Take a piece of a chunk; its last two bytes must be the line end."""
        before, self._left = self._left, self._left - len(piece)
        payload = max(0, before - len(CRLF))
        end = piece[payload:]
        if end and end != CRLF[-before:][: len(end)]:
            raise MalformedError("A chunk is longer than its size.")
        return piece[:payload]

    def _line_end(self, data: bytes, at: int) -> int:
        end = data.find(CRLF, at, at + _CHUNK_LINE_LIMIT + len(CRLF))
        if end < 0 and len(data) - at > _CHUNK_LINE_LIMIT:
            raise MalformedError("The size line of a chunk is too long.")
        if end < 0:
            check_line_ends(data, at, at)
        return end

    def _chunk_size(self, line: bytes) -> int:
        match = _CHUNK_LINE.fullmatch(line)
        if match is None:
            raise MalformedError("The size line of a chunk is malformed.")
        self._extensions += len(line) - len(match[1])
        if self._extensions > self._limits.extensions:
            raise MalformedError("There are too many chunk extensions.")
        size = int(match[1], 16)
        self._overhead += len(line) + 2 * len(CRLF) - size
        if self._overhead > self._limits.overhead:
            raise MalformedError("The chunks are too small.")
        return size + len(CRLF) if size else self._AT_TRAILERS

    def _skip_trailers(self, data: bytes, at: int) -> int:
        """Return the end of the trailers, or ``at`` while they are incomplete."""
        if data.startswith(CRLF, at):
            self.complete = True
            return at + len(CRLF)
        end = data.find(HEAD_END, at, at + _TRAILERS_LIMIT)
        if end < 0:
            if len(data) - at > _TRAILERS_LIMIT:
                raise MalformedError("The trailers are too large.")
            check_line_ends(data, at, at)
            return at
        for line in split_lines(data[at:end], HeadLimits()):
            check_line(line)
            field_name(line)
        self.complete = True
        return end + len(HEAD_END)
