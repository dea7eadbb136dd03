"""Where an HTTP/1 message begins and ends (RFC 9112), for both sides of the gateway.

One grammar reads what clients send and what upstreams answer, and it is strict: a
message that two implementations could cut at different places is refused. What passes
is written anew by the gateway with one unambiguous framing, so nothing can be smuggled.
"""

import re
from http import HTTPStatus
from typing import Final, NamedTuple, Protocol

CRLF: Final = b"\r\n"
HEAD_END: Final = b"\r\n\r\n"

CHUNKED: Final = -1
"""In place of a length: the body is sent in chunks."""
UNTIL_CLOSE: Final = -2
"""In place of a length: the answer's body ends with the connection."""

BODILESS: Final = frozenset({204, 304})
"""Statuses of answers that end with their head, as those to HEAD do (9112, 6.3)."""

_TCHAR: Final = (
    b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)
_FIELD_OCTETS: Final = b"\t" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))
"""What may stand in a line: everything but control characters (RFC 9110, 5.5)."""

_VERSIONS: Final = frozenset({b"HTTP/1.1", b"HTTP/1.0"})
_VERSION: Final = re.compile(rb"HTTP/(\d)\.(\d)")
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-5]\d\d)(?: .*)?")
_LONGEST_NUMBER: Final = 15
"""Digits of a length."""
_CHUNK_LINE: Final = re.compile(
    rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?"
)

_CHUNK_LINE_LIMIT: Final = 256
"""Octets of a chunk's size with its extensions, which nobody uses."""
_EXTENSIONS_LIMIT: Final = 16_384
"""Octets of extensions in one body; a trickle of them is an attack."""
_TRAILERS_LIMIT: Final = 8_192


class MalformedError(Exception):
    """A message that must not be passed on; `status` tells a client why."""

    def __init__(
        self, message: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST
    ) -> None:
        super().__init__(message)
        self.status = status


_TARGET_TOO_LONG: Final = MalformedError(
    "The request target is too long.", HTTPStatus.REQUEST_URI_TOO_LONG
)
_FIELDS_TOO_LARGE: Final = MalformedError(
    "The header fields are too large.", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
)


class HeadLimits(NamedTuple):
    """Octets (and fields) that the head of a message may have."""

    start_line: int = 8_192
    field: int = 8_192
    fields: int = 32_768
    field_count: int = 100

    @property
    def head(self) -> int:
        """The longest head that can be within all limits."""
        return self.start_line + self.fields + len(HEAD_END)


class RequestHead(NamedTuple):
    """A request line, and the lines of the fields, not looked into yet."""

    method: bytes
    target: bytes
    is_http_10: bool
    lines: list[bytes]


class ResponseHead(NamedTuple):
    """What a status line says, and the lines of the fields, not looked into yet."""

    status: int
    is_http_10: bool
    lines: list[bytes]


def parse_request_head(head: bytes, limits: HeadLimits) -> RequestHead:
    """Parse a head without its final empty line."""
    lines = _split(head, limits)
    try:
        method, target, version = lines.pop(0).split(b" ")
    except ValueError:
        raise MalformedError("The request line is malformed.") from None
    if not method or method.translate(None, _TCHAR):
        raise MalformedError("The method is malformed.")
    if version not in _VERSIONS:
        raise _other_version(version)
    return RequestHead(method, target, version == b"HTTP/1.0", lines)


def check_unfinished_head(head: bytes, limits: HeadLimits) -> None:
    """Raise MalformedError once the rest cannot make ``head`` acceptable any more."""
    if len(head) <= limits.start_line:
        return
    if head.find(CRLF, 0, limits.start_line + len(CRLF)) < 0:
        raise _TARGET_TOO_LONG
    if len(head) > limits.head:
        raise _FIELDS_TOO_LARGE


def parse_response_head(head: bytes, limits: HeadLimits) -> ResponseHead:
    """Parse a head without its final empty line."""
    lines = _split(head, limits)
    match = _STATUS_LINE.fullmatch(lines.pop(0))
    if match is None:
        raise MalformedError("The status line is malformed.")
    return ResponseHead(int(match[2]), match[1] == b"0", lines)


def field_name(line: bytes) -> bytes:
    """Return the name in a field's line, or raise MalformedError."""
    name = line[: max(0, line.find(b":"))]
    if not name or name.translate(None, _TCHAR):
        raise MalformedError("A field has no proper name.")
    return name


def _split(head: bytes, limits: HeadLimits) -> list[bytes]:
    """Split a head into lines.

    Each must end in CRLF and hold no control character; so there is no folding, no
    bare LF or CR and no NUL for anyone to read differently.
    """
    lines = head.split(CRLF)
    if len(head) > limits.field:
        _check_sizes(lines, limits)
    if head.translate(None, _FIELD_OCTETS) != CRLF * (len(lines) - 1):
        raise MalformedError("A line of the head holds a control character.")
    if len(lines) > limits.field_count + 1:
        raise _FIELDS_TOO_LARGE
    return lines


def _other_version(version: bytes) -> MalformedError:
    match = _VERSION.fullmatch(version)
    if match is None or match[1] == b"1":
        return MalformedError("The request line is malformed.")
    return MalformedError(
        "Only HTTP/1 is spoken here.", HTTPStatus.HTTP_VERSION_NOT_SUPPORTED
    )


def _check_sizes(lines: list[bytes], limits: HeadLimits) -> None:
    if len(lines[0]) > limits.start_line:
        raise _TARGET_TOO_LONG
    sizes = [len(line) for line in lines[1:]]
    if max(sizes, default=0) > limits.field or sum(sizes) > limits.fields:
        raise _FIELDS_TOO_LARGE


def request_body_length(
    lengths: list[bytes], codings: list[bytes], *, is_http_10: bool
) -> int:
    """Return a request's body length in octets, or `CHUNKED` (RFC 9112, 6.3).

    ``lengths`` and ``codings`` are the values of each Content-Length and each
    Transfer-Encoding field. Without either there is no body.
    """
    if codings:
        if lengths or is_http_10:
            raise MalformedError("The length of the body is ambiguous.")
        return _chunked(codings)
    return _length(lengths) if lengths else 0


def response_body_length(
    head: ResponseHead, method: str, lengths: list[bytes], codings: list[bytes]
) -> int:
    """Return an answer's body length in octets, `CHUNKED` or `UNTIL_CLOSE`."""
    length = UNTIL_CLOSE
    if codings:
        if lengths or head.is_http_10:
            raise MalformedError("The length of the body is ambiguous.")
        length = _chunked(codings)
    elif lengths:
        length = _length(lengths)
    return 0 if method == "HEAD" or head.status in BODILESS else length


def _length(lengths: list[bytes]) -> int:
    first = lengths[0]
    if len(lengths) > 1 or not first.isdigit() or len(first) > _LONGEST_NUMBER:
        raise MalformedError("Content-Length is not one number.")
    return int(first)


def _chunked(codings: list[bytes]) -> int:
    names = [name.strip(b" \t").lower() for name in b",".join(codings).split(b",")]
    if names == [b"chunked"]:
        return CHUNKED
    if names[-1] == b"chunked" and names.count(b"chunked") == 1:
        raise MalformedError(
            "Only the transfer coding chunked is known.", HTTPStatus.NOT_IMPLEMENTED
        )
    raise MalformedError("The transfer coding is malformed.")


class BodyDecoder(Protocol):
    """Takes the octets of a connection and says which of them are the body."""

    complete: bool
    rest: bytes
    """What came after the end of the body."""

    def feed(self, data: bytes) -> bytes:
        """Return the body's octets in ``data``."""


def body_decoder(length: int) -> BodyDecoder:
    """Return the decoder for what `request_body_length` and its twin return."""
    return ChunkedDecoder() if length == CHUNKED else LengthDecoder(length)


class LengthDecoder:
    """A body of known length, or one that ends with the connection."""

    __slots__ = ("_left", "complete", "rest")

    def __init__(self, length: int) -> None:
        self._left = length
        self.complete = length == 0
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """Return the body's octets in ``data``."""
        if self._left == UNTIL_CLOSE:
            return data
        if len(data) < self._left:
            self._left -= len(data)
            return data
        self.complete = True
        left, self._left = self._left, 0
        if len(data) == left:
            return data
        self.rest = data[left:]
        return data[:left]


class ChunkedDecoder:
    """A body in chunks (RFC 9112, 7.1). Extensions and trailers are dropped."""

    __slots__ = ("_buffer", "_extensions", "_left", "complete", "rest")

    _AT_SIZE: Final = 0
    _AT_TRAILERS: Final = -1

    def __init__(self) -> None:
        self._buffer = b""
        self._left = self._AT_SIZE
        """Octets up to the end of this chunk, its line end included."""
        self._extensions = 0
        self.complete = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """Return the body's octets in ``data``."""
        if self._buffer:
            data = self._buffer + data
        at, pieces = 0, []
        while at < len(data):
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
        self._buffer = b"" if self.complete else data[at:]
        if self.complete:
            self.rest = data[at:]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _without_line_end(self, piece: bytes) -> bytes:
        """Take a piece of a chunk; its last two octets must be the line end."""
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
        return end

    def _chunk_size(self, line: bytes) -> int:
        match = _CHUNK_LINE.fullmatch(line)
        if match is None:
            raise MalformedError("The size line of a chunk is malformed.")
        self._extensions += len(line) - len(match[1])
        if self._extensions > _EXTENSIONS_LIMIT:
            raise MalformedError("There are too many chunk extensions.")
        size = int(match[1], 16)
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
            return at
        for line in _split(data[at:end], HeadLimits()):
            field_name(line)
        self.complete = True
        return end + len(HEAD_END)
