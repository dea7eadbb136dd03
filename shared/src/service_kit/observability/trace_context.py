"""The traces that requests belong to (W3C Trace Context)."""

import re
from contextvars import ContextVar
from typing import Final, NamedTuple

from multidict import istr

from service_kit.observability.request_id import NO_REQUEST, request_id

HEADER: Final = istr("traceparent")

SPAN_ID_LENGTH: Final = 16
"""Hex digits of what one service's part in a trace is called."""

SAMPLED: Final = 1
"""The bit of the flags that says whether the trace is recorded."""

traceparent: ContextVar[str | None] = ContextVar("traceparent", default=None)
"""The field of the request being served; parsed only when it is needed."""

_FIELD: Final = re.compile(
    r"(?:00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
    r"|(?!00|ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
    r"(?:-[ -~]*)?)",
    re.ASCII,
)
"""Version 00 has four parts; a later one may have more, of ASCII, but not fewer."""

_TRACE_ID: Final = re.compile(r"(?!0{32})[0-9a-f]{32}", re.ASCII)


class TraceParent(NamedTuple):
    """The trace that a request is part of, and what sent it."""

    trace_id: str
    """16 bytes in hex."""
    span_id: str
    """8 bytes in hex: names the request before this one."""
    is_sampled: bool
    """Whether the sender records the trace."""


def parse_traceparent(untrusted: str) -> TraceParent | None:
    """Return what the field says, None if it is malformed."""
    if not _FIELD.fullmatch(untrusted):
        return None
    _, trace_id, span_id, flags, *_ = untrusted.split("-", 4)
    return TraceParent(trace_id, span_id, bool(int(flags, 16) & SAMPLED))


def current_trace_id() -> str:
    """Return the trace of the request being served.

    A request without one begins a trace with the request's id.
    """
    field = traceparent.get()
    if field is not None and (parent := parse_traceparent(field)) is not None:
        return parent.trace_id
    name = request_id.get()
    return name if _TRACE_ID.fullmatch(name) else NO_REQUEST
