"""The heads of forwarded requests and responses."""

import re
import time
from functools import lru_cache
from typing import Final, NamedTuple

from gateway_service.http1.client import Client
from gateway_service.http1.exchange import Exchange
from gateway_service.http1.parsing.fields import body_line
from gateway_service.http1.parsing.grammar import CRLF
from gateway_service.http1.parsing.requests import Request
from gateway_service.http1.parsing.responses import ResponseHead
from gateway_service.http1.rendering import UPGRADE, date_line
from gateway_service.proxy import problems
from service_kit.observability.trace_context import SPAN_ID_LENGTH
from service_kit.problems import ProblemError
from service_kit.requests.client_addresses import Origin, TrustedProxies

_ALWAYS_FRAMED: Final = frozenset({"POST", "PUT", "PATCH"})
"""Methods whose requests say that they have no body (RFC 9110, 8.6)."""


class ForwardingHeaders(NamedTuple):
    """What the forwarding headers say about this gateway and its proxies."""

    pseudonym: bytes
    proxies: TrustedProxies


def request_head(
    exchange: Exchange, upstream: str, headers: ForwardingHeaders, framing: bytes
) -> bytes:
    """Return the head of the request to an upstream.

    Its target is the bytes the route was chosen by. Nothing a client said of itself,
    of hops or of framing is in it, but for what trusted proxies said. Its
    X-Request-Start is now: the part of the body that is awaited has been received.
    """
    request, client = exchange.request, exchange.client
    values = request.values
    host = request.host
    is_trusted = headers.proxies.trusts(client.address)
    if is_trusted:
        origin = exchange.origin(headers.proxies)
        forwarded = _forwarded_by(origin, client)
        host = origin.host.encode("ascii") or host
    else:
        forwarded = _forwarded(client.address, _scheme(client))
    via = (b"1.0 " if request.is_http_10 else b"1.1 ") + headers.pseudonym
    if b"via" in values:
        via = _after_others(values[b"via"], via, headers.pseudonym)
    return (
        b"%b %b HTTP/1.1\r\nHost: %b\r\n%b%bX-Forwarded-Host: %b\r\nVia: %b\r\n"
        b"%bX-Request-Start: %d\r\n%b\r\n"
    ) % (
        request.method.encode("ascii"),
        request.target,
        request.host or upstream.encode("ascii"),
        CRLF.join(request.lines) + CRLF if request.lines else b"",
        forwarded,
        host,
        via,
        _trace_lines(exchange, is_trusted=is_trusted),
        int(time.time() * 1000),
        framing,
    )


def _trace_lines(exchange: Exchange, *, is_trusted: bool) -> bytes:
    """Return the lines that name the request, and the trace it is part of.

    Whether a trace is recorded is this gateway's decision, or a trusted proxy's.
    """
    name = exchange.request_id.encode("ascii")
    flags = b"01" if exchange.is_sampled else b"00"
    caller = exchange.caller
    if caller is None:
        return b"X-Request-Id: %b\r\ntraceparent: 00-%b-%b-%b\r\n" % (
            name,
            name,
            name[:SPAN_ID_LENGTH],
            flags,
        )
    if is_trusted and caller.is_sampled:
        flags = b"01"
    state = exchange.request.values.get(b"tracestate", ())
    return b"X-Request-Id: %b\r\ntraceparent: 00-%b-%b-%b\r\n%b" % (
        name,
        caller.trace_id.encode("ascii"),
        name[:SPAN_ID_LENGTH],
        flags,
        b"".join(b"tracestate: %b\r\n" % each for each in state),
    )


def hops_left(request: Request) -> int | None:
    """Return how many hops an OPTIONS may still go (RFC 9110, 7.6.2); None: any.

    Raises `ProblemError`: Max-Forwards is malformed.
    """
    forwards = request.values.get(b"max-forwards")
    if forwards is None or request.method != "OPTIONS":
        return None
    if len(forwards) > 1 or not re.fullmatch(rb"\d{1,9}", forwards[0]):
        raise ProblemError(problems.MALFORMED_MAX_FORWARDS)
    return int(forwards[0])


def request_framing(request: Request, length: int, *, is_upgrade: bool) -> bytes:
    """Return the last lines of a head: what few requests have."""
    if is_upgrade:
        return UPGRADE
    lines = b""
    if length or request.method in _ALWAYS_FRAMED:
        lines = body_line(length)
    if b"max-forwards" in request.values and (hops := hops_left(request)):
        lines += b"Max-Forwards: %d\r\n" % (hops - 1)
    return lines


def is_loop(via: list[bytes], pseudonym: bytes) -> bool:
    """Whether a request has been here before, by what its Via says."""
    hops = b"," + b",".join(via).lower()
    return _hop_of(pseudonym.lower()).search(hops) is not None


@lru_cache(maxsize=8)
def _hop_of(pseudonym: bytes) -> re.Pattern[bytes]:
    """Return what finds a gateway in Via, be it as long as a head may be."""
    name = re.escape(pseudonym)
    return re.compile(rb",[ \t]*+[^ \t,]++[ \t]++%b(?=[ \t,]|$)" % name)


def _after_others(before: list[bytes], hop: bytes, pseudonym: bytes) -> bytes:
    """Return what Via says of this hop and of those before it, in as many lines.

    Joined, they would be longer than an upstream may accept in one.
    """
    if is_loop(before, pseudonym):
        raise ProblemError(problems.LOOP_DETECTED)
    return b"%b, %b" % (b"\r\nVia: ".join(before), hop)


def _scheme(client: Client) -> bytes:
    return b"https" if client.is_secure else b"http"


@lru_cache(maxsize=1_024)
def _forwarded(address: str, scheme: bytes) -> bytes:
    return _forwarded_lines(address.encode("ascii"), scheme)


def _forwarded_lines(addresses: bytes, scheme: bytes) -> bytes:
    """Return the lines that name the client, and its scheme, to an upstream."""
    return b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\n" % (addresses, scheme)


def _forwarded_by(origin: Origin, client: Client) -> bytes:
    """Return the same lines with what trusted proxies say."""
    addresses = ", ".join(origin.addresses).encode("ascii")
    return _forwarded_lines(addresses, origin.scheme.encode("ascii") or _scheme(client))


def response_lines(head: ResponseHead) -> bytes:
    """Return the fields of an upstream's response that a client may see."""
    date = head.values.get(b"date")
    dated = date_line() if date is None else b"Date: %b\r\n" % date[0]
    return CRLF.join([*head.lines, dated])
