"""Where an HTTP/1 message begins and ends (RFC 9112), for both sides of a hop.

One grammar reads what clients and what upstreams send, and it is strict: a
message that two implementations could cut at different places is refused. What passes
is rewritten with one unambiguous framing, so nothing can be smuggled.
"""

import re
from http import HTTPStatus
from ipaddress import IPv6Address
from typing import Final, NamedTuple

from gateway_service.http1.parsing.cache import store
from gateway_service.http1.parsing.limits import HeadLimits
from service_kit.settings import LAST_PORT

CRLF: Final = b"\r\n"
HEAD_END: Final = b"\r\n\r\n"

CHUNKED: Final = -1
"""In place of a length: the body is sent in chunks."""
UNTIL_CLOSE: Final = -2
"""In place of a length: the response's body ends with the connection."""

BODILESS: Final = frozenset({204, 304})
"""Statuses of responses that end with their head, as those to HEAD do (9112, 6.3)."""

_TCHAR: Final = (
    b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)
_CONTROLS: Final = bytes({*range(0x20), 0x7F} - {ord("\t")})
"""What may not stand in a line (RFC 9110, 5.5)."""
_WITHOUT_CONTROLS: Final = bytes.maketrans(_CONTROLS, b" " * len(_CONTROLS))

_HOST: Final = re.compile(
    rb"(?:\[([0-9A-Fa-f:.]{2,45})\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+)"
    rb"(?::(\d{0,5}))?"
)
"""`uri-host [ ":" port ]`, not empty (RFC 9110, 7.2)."""

_VERSIONS: Final = frozenset({b"HTTP/1.1", b"HTTP/1.0"})
_VERSION: Final = re.compile(rb"HTTP/(\d)\.(\d)")
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-5]\d\d)(?: .*)?")
_LONGEST_METHOD: Final = 32
"""Bytes, twice as many as any registered one has (RFC 9112, 3): logs repeat them."""
_LONGEST_NUMBER: Final = 15
"""Digits of a length."""


class MalformedError(Exception):
    """A message that must not be passed on; `status` is the client's response."""

    def __init__(
        self, message: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST
    ) -> None:
        super().__init__(message)
        self.status = status


def _target_too_long() -> MalformedError:
    return MalformedError(
        "The request target is too long.", HTTPStatus.REQUEST_URI_TOO_LONG
    )


def _fields_too_large() -> MalformedError:
    return MalformedError(
        "The header fields are too large.", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    )


def _control_character() -> MalformedError:
    return MalformedError("A line of the head holds a control character.")


class RequestLine(NamedTuple):
    """The parts of a request line, not validated yet."""

    method: bytes
    target: bytes
    is_http_10: bool


class StatusLine(NamedTuple):
    """What a status line says."""

    status: int
    is_http_10: bool


_status_lines: Final[dict[bytes, StatusLine]] = {}


def parse_request_line(line: bytes) -> RequestLine:
    """Parse the first line of a request."""
    check_line(line)
    try:
        method, target, version = line.split(b" ")
    except ValueError:
        raise MalformedError("The request line is malformed.") from None
    if not method or method.translate(None, _TCHAR):
        raise MalformedError("The method is malformed.")
    if len(method) > _LONGEST_METHOD:
        raise MalformedError(
            "The method is longer than any known.", HTTPStatus.NOT_IMPLEMENTED
        )
    if version not in _VERSIONS:
        raise _other_version(version)
    return RequestLine(method, target, version == b"HTTP/1.0")


def check_unfinished_head(
    data: bytes, start: int, checked: int, limits: HeadLimits
) -> None:
    """Raise MalformedError once no more bytes can make an acceptable head.

    It begins at ``start``; the line ends up to ``checked`` have been checked before, or
    a head in many pieces would be searched as many times.
    """
    if data[start : start + 1].translate(None, _TCHAR + CRLF):
        raise MalformedError("This is not HTTP.")
    check_line_ends(data, start, max(start, checked))
    longest_end = start + limits.start_line
    if len(data) <= longest_end:
        return
    if data.find(CRLF[:1], start, longest_end + 1) < 0:
        raise _target_too_long()
    if len(data) > start + limits.head:
        raise _fields_too_large()


def check_line_ends(data: bytes, start: int, since: int) -> None:
    """Raise MalformedError if a line that begins at ``start`` or after has a bare LF.

    Those before ``since`` have none.
    """
    if data.count(b"\n", since) != data.count(CRLF, max(start, since - 1)):
        raise _control_character()


def parse_status_line(line: bytes) -> StatusLine:
    """Parse the first line of a response."""
    known = _status_lines.get(line)
    if known is not None:
        return known
    check_line(line)
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise MalformedError("The status line is malformed.")
    return store(_status_lines, line, StatusLine(int(match[2]), match[1] == b"0"))


def check_line(line: bytes) -> None:
    """Raise MalformedError if a line holds a control character.

    So there is no folding, no bare LF or CR and no NUL for anyone to read differently.
    """
    if line.translate(_WITHOUT_CONTROLS) != line:
        raise _control_character()


def field_name(line: bytes) -> bytes:
    """Return the name in a field's line, or raise MalformedError."""
    name = line[: max(0, line.find(b":"))]
    if not name or name.translate(None, _TCHAR):
        raise MalformedError("A field has no proper name.")
    return name


def is_host(text: bytes) -> bool:
    """Return whether a text is a host, perhaps with a port."""
    match = _HOST.fullmatch(text)
    if match is None:
        return False
    literal, port = match.groups()
    if port and int(port) > LAST_PORT:
        return False
    return literal is None or _is_ipv6(literal)


def split_lines(head: bytes, limits: HeadLimits) -> list[bytes]:
    """Split a head into lines, within the limits.

    The content of a line is checked by its first reader: see `check_line`.
    """
    lines = head.split(CRLF)
    check_sizes(lines, len(head), limits)
    return lines


def check_sizes(lines: list[bytes], size: int, limits: HeadLimits) -> None:
    """Raise MalformedError if a head of so many bytes in all exceeds the limits."""
    if size > limits.start_line or size > limits.field or size > limits.fields:
        _check_each_size(lines, limits)
    if len(lines) > limits.field_count + 1:
        raise _fields_too_large()


def _is_ipv6(literal: bytes) -> bool:
    try:
        IPv6Address(literal.decode("ascii"))
    except ValueError:
        return False
    return True


def _other_version(version: bytes) -> MalformedError:
    match = _VERSION.fullmatch(version)
    if match is None or match[1] == b"1":
        return MalformedError("The request line is malformed.")
    return MalformedError(
        "Only HTTP/1 is supported here.", HTTPStatus.HTTP_VERSION_NOT_SUPPORTED
    )


def _check_each_size(lines: list[bytes], limits: HeadLimits) -> None:
    if len(lines[0]) > limits.start_line:
        raise _target_too_long()
    sizes = [len(line) for line in lines[1:]]
    if max(sizes, default=0) > limits.field or sum(sizes) > limits.fields:
        raise _fields_too_large()


def request_body_length(
    lengths: list[bytes], codings: list[bytes], *, is_http_10: bool
) -> int:
    """Return a request's body length in bytes, or `CHUNKED` (RFC 9112, 6.3).

    ``lengths`` and ``codings`` are the values of each Content-Length and each
    Transfer-Encoding field. Without either there is no body.
    """
    if codings:
        if lengths or is_http_10:
            raise MalformedError("The length of the body is ambiguous.")
        return _chunked(codings)
    return _length(lengths) if lengths else 0


def response_body_length(
    start: StatusLine, method: str, lengths: list[bytes], codings: list[bytes]
) -> int:
    """Return a response's body length in bytes, `CHUNKED` or `UNTIL_CLOSE`."""
    length = UNTIL_CLOSE
    if codings:
        if lengths or start.is_http_10:
            raise MalformedError("The length of the body is ambiguous.")
        length = _chunked(codings)
    elif lengths:
        length = _length(lengths)
    return 0 if method == "HEAD" or start.status in BODILESS else length


def _length(lengths: list[bytes]) -> int:
    first = lengths[0]
    if len(lengths) > 1 or not first.isdigit() or len(first) > _LONGEST_NUMBER:
        raise MalformedError("Content-Length is not one number.")
    return int(first)


def _chunked(codings: list[bytes]) -> int:
    others, comma, last = b",".join(codings).lower().rpartition(b",")
    is_chunked = last.strip(b" \t") == b"chunked"
    if is_chunked and not comma:
        return CHUNKED
    if is_chunked and b"chunked" not in others:
        raise MalformedError(
            "Only the transfer coding chunked is known.", HTTPStatus.NOT_IMPLEMENTED
        )
    raise MalformedError("The transfer coding is malformed.")
