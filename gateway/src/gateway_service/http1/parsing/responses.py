"""An upstream's response as it is understood."""

from collections.abc import Iterable
from typing import Final

from gateway_service.http1.parsing.fields import (
    WEBSOCKET,
    FieldPolicy,
    Values,
    body_line,
    connection_options,
)
from gateway_service.http1.parsing.grammar import (
    BODILESS,
    UNTIL_CLOSE,
    MalformedError,
    parse_status_line,
    response_body_length,
)

SWITCHING_PROTOCOLS: Final = 101
FIRST_FINAL_STATUS: Final = 200
_CONTINUE: Final = 100
_NO_CONTENT: Final = 204


class ResponseHead:
    """The head of a response: what is passed on, and how its body is framed."""

    def __init__(
        self,
        status: int,
        lines: list[bytes],
        values: Values,
        length: int,
        framing: bytes | None,
        *,
        closes: bool,
    ) -> None:
        self.status = status
        self.lines = lines
        """The fields that are passed on."""
        self.values = values
        """Those that are read."""
        self.length = length
        """Of the body: bytes, `CHUNKED` or `UNTIL_CLOSE`."""
        self.framing = framing
        """What states a body's length where there is no body (HEAD, 204, 304)."""
        self.closes = closes
        """Whether the upstream sends no further response on its connection."""


def read_response(
    head: list[bytes], fields: FieldPolicy, method: str, *, is_upgrade: bool
) -> ResponseHead | None:
    """Understand the lines of a head, or raise MalformedError.

    None: 100, which the gateway says itself. Other interim responses have no body.
    ``method`` and ``is_upgrade`` are the request's.
    """
    head_lines = iter(head)
    start = parse_status_line(next(head_lines))
    if start.status == SWITCHING_PROTOCOLS:
        return _switch(head_lines, fields, is_upgrade=is_upgrade)
    lines, values = fields.sort(head_lines)
    if start.status == _CONTINUE:
        return None
    if start.status < FIRST_FINAL_STATUS:
        return ResponseHead(start.status, lines, values, 0, b"", closes=False)
    lengths = values.get(b"content-length", [])
    codings = values.get(b"transfer-encoding", [])
    length = response_body_length(start, method, lengths, codings)
    framing = None
    if method == "HEAD" or start.status in BODILESS:
        states_length = lengths and start.status != _NO_CONTENT
        framing = body_line(int(lengths[0])) if states_length else b""
    closes = (
        start.is_http_10
        or length == UNTIL_CLOSE
        or (b"connection" in values and b"close" in connection_options(values))
    )
    return ResponseHead(start.status, lines, values, length, framing, closes=closes)


def _switch(
    head_lines: Iterable[bytes], fields: FieldPolicy, *, is_upgrade: bool
) -> ResponseHead:
    if not is_upgrade:
        raise MalformedError("Nobody asked to switch protocols.")
    lines, values = fields.sort(head_lines)
    if b",".join(values.get(b"upgrade", [])).lower() != WEBSOCKET:
        raise MalformedError("Nobody asked to switch to this protocol.")
    return ResponseHead(SWITCHING_PROTOCOLS, lines, values, 0, None, closes=True)
