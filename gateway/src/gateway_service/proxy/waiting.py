"""Requests that wait: by design, so that it is no sign of trouble, or for a place."""

import re
from typing import Final

from gateway_service.http1.exchange import Exchange
from gateway_service.http1.parsing.requests import Request
from gateway_service.proxy import problems
from gateway_service.upstreams.upstream import Upstream
from service_kit.problems import ProblemError

LONGEST_WAIT: Final = 120
"""Seconds that a client's `Prefer: wait` can add to a route's timeouts."""

_WAIT: Final = re.compile(rb"\s*wait\s*=\s*\"?(\d{1,9})", re.IGNORECASE)

_PREFERENCE: Final = re.compile(rb'(?:"(?:\\.|[^"\\])*"?|[^",])+')
"""One of a list; a comma within quotes is part of it."""


def preferred_wait(request: Request) -> int:
    """Return the seconds that a client is content to wait (RFC 7240, 4.3)."""
    for line in request.values.get(b"prefer", ()):
        for each in _PREFERENCE.findall(line):
            if match := _WAIT.match(each):
                return min(int(match[1]), LONGEST_WAIT)
    return 0


def granted_wait(exchange: Exchange, upstream: Upstream) -> int:
    """Return the seconds that a response may wait, 0 where too many requests do.

    In that case the preference is removed, so the upstream responds at once.
    """
    request = exchange.request
    wait = preferred_wait(request)
    if wait and not upstream.has_room_to_wait(exchange):
        request.lines = [each for line in request.lines if (each := _not_waiting(line))]
        return 0
    return wait


def _not_waiting(line: bytes) -> bytes:
    """Return a header line without the preference to wait; empty: it said no more."""
    if line[:7].lower() != b"prefer:":
        return line
    preferences = _PREFERENCE.findall(line[7:])
    others = [each for each in preferences if not _WAIT.match(each)]
    return b"Prefer:" + b",".join(others) if others else b""


async def wait_for_place(
    exchange: Exchange, upstream: Upstream, *, is_urgent: bool
) -> None:
    """Return when a request may be in flight, which it then is to be immediately.

    Raises `ProblemError`: too many are for too long.
    """
    if not (
        upstream.has_place(exchange, is_urgent=is_urgent)
        or await upstream.wait_for_place(exchange, is_urgent=is_urgent)
    ):
        raise shed(upstream)


def shed(upstream: Upstream) -> ProblemError:
    """Count a request that is refused, and return why it is."""
    upstream.shed += 1
    return ProblemError(problems.UNAVAILABLE)
