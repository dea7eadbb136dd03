"""What is sent on: a request to an upstream, and an answer's fields to a client."""

from typing import Final

from gateway_service.answers import date_line
from gateway_service.client.answer import Answer
from gateway_service.client_addresses import TrustedProxies
from gateway_service.exchange import Client, Exchange
from gateway_service.framing import CRLF
from gateway_service.headers import body_line
from gateway_service.requests import Request

_WRITTEN_ANEW: Final = (
    (b"origin", b"Origin: "),
    (b"access-control-request-method", b"Access-Control-Request-Method: "),
)
"""Fields that the gateway reads, and that an upstream sees as well."""

_SCHEMES: Final = frozenset({b"http", b"https"})
_ALWAYS_FRAMED: Final = frozenset({"POST", "PUT", "PATCH"})
"""Methods whose requests say that they have no body (RFC 9110, 8.6)."""

_UPGRADE: Final = b"Connection: upgrade\r\nUpgrade: websocket\r\n"


def request_head(
    exchange: Exchange,
    length: int,
    *,
    upstream: str,
    pseudonym: bytes,
    proxies: TrustedProxies,
) -> bytes:
    """Return the head of the request to an upstream.

    Its target is the octets the route was chosen by. Nothing a client said of itself,
    of hops or of framing is in it, but for what trusted proxies said.
    """
    request = exchange.request
    values = request.values
    lines = [
        f"{request.method} ".encode("ascii") + request.target + b" HTTP/1.1",
        b"Host: " + (request.host or upstream.encode("ascii")),
        *request.lines,
        *_forwarded_lines(request, exchange.client, proxies),
        _via(request, pseudonym),
        f"X-Request-Id: {exchange.request_id}".encode("ascii"),
    ]
    for name, line in _WRITTEN_ANEW:
        if name in values:
            lines += [line + value for value in values[name]]
    if b"max-forwards" in values:
        lines.append(b"Max-Forwards: %d" % (int(values[b"max-forwards"][0]) - 1))
    lines.append(_framing(request, length))
    return CRLF.join(lines) + CRLF


def _framing(request: Request, length: int) -> bytes:
    if request.is_upgrade:
        return _UPGRADE
    if length or request.method in _ALWAYS_FRAMED:
        return body_line(length)
    return b""


def _via(request: Request, pseudonym: bytes) -> bytes:
    before = request.values.get(b"via")
    hop = b"%b %b" % (b"1.0" if request.is_http_10 else b"1.1", pseudonym)
    return b"Via: " + (hop if before is None else b", ".join([*before, hop]))


def _forwarded_lines(
    request: Request, client: Client, proxies: TrustedProxies
) -> list[bytes]:
    """Return who asks, as far as it is known from here or from trusted proxies."""
    peer = client.address.encode("ascii")
    scheme = b"https" if client.is_secure else b"http"
    if proxies.trusts(client.peer):
        before = request.values.get(b"x-forwarded-for", [])
        peer = b", ".join([*before, peer])
        told = request.values.get(b"x-forwarded-proto", [])
        if len(told) == 1 and told[0] in _SCHEMES:
            scheme = told[0]
    return [
        b"X-Forwarded-For: " + peer,
        b"X-Forwarded-Proto: " + scheme,
        b"X-Forwarded-Host: " + request.host,
    ]


def answer_lines(answer: Answer) -> bytes:
    """Return the fields of an upstream's answer that a client may see."""
    date = answer.values.get(b"date")
    dated = date_line() if date is None else b"Date: %b\r\n" % date[0]
    return CRLF.join(answer.lines) + CRLF + dated if answer.lines else dated
