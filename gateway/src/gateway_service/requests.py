"""A client's request as the gateway understands it."""

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from gateway_service.framing import MalformedError, RequestHead, request_body_length
from gateway_service.headers import (
    REQUEST_FIELDS,
    WEBSOCKET,
    Values,
    connection_options,
)

_HOST: Final = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]{2,45}\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+)"
    rb"(?::\d{0,5})?"
)
"""`uri-host [ ":" port ]`, not empty (RFC 9110, 7.2)."""

_REMEMBERED: Final = 256
_good_hosts: set[bytes] = set()
"""Hosts found well-formed, because most requests name the same few."""

_ABSOLUTE_FORM: Final = re.compile(rb"https?://([^/?#]*)(.*)", re.IGNORECASE)

_ORIGIN_FORM: Final = re.compile(
    rb"(/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]++"
    rb"|%(?:2[0-9A-CFa-cf]|3[A-Fa-f]|40|5[B-Eb-e]|60|7[B-Db-d]|[89A-Fa-f][0-9A-Fa-f])"
    rb")*+)(\?[!\"$-~]*+)?"
)
"""Path and query of RFC 3986, the query with what browsers leave in it.

A path has one spelling: an octet that needs no escape must not be escaped, and no
control character may be. Otherwise two readers could see two paths.
"""


@dataclass(slots=True)
class Request:
    """One request: what is routed by, what is passed on, and how its body is framed."""

    method: str
    path: str
    """Without the query, octet for octet as sent; `*` if the server is meant."""
    target: bytes
    """Path and query."""
    host: bytes
    """Empty if an HTTP/1.0 client sent none."""
    is_http_10: bool
    lines: list[bytes]
    values: Values
    length: int
    """Of the body: octets, or `CHUNKED`."""
    closes: bool
    """Whether the client sends no further request on its connection."""

    @property
    def origin(self) -> bytes | None:
        """The page that asks; of several values none is believed."""
        values = self.values.get(b"origin")
        return values[0] if values is not None and len(values) == 1 else None

    @property
    def is_upgrade(self) -> bool:
        """Whether the client asks for a WebSocket (RFC 6455, 4.1)."""
        upgrade = self.values.get(b"upgrade")
        return (
            upgrade is not None
            and b",".join(upgrade).strip().lower() == WEBSOCKET
            and b"upgrade" in connection_options(self.values)
            and self.method == "GET"
            and not self.is_http_10
            and not self.length
        )

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for 100 before it sends the body."""
        return b"expect" in self.values and not self.is_http_10


def read_request(head: RequestHead) -> Request:
    """Understand a request, or raise MalformedError."""
    method, target, is_http_10, field_lines = head
    lines, values = REQUEST_FIELDS.sort(field_lines)
    host = _host(values, is_http_10=is_http_10)
    if method == b"CONNECT":
        raise MalformedError("This is no tunnel.", HTTPStatus.NOT_IMPLEMENTED)
    match = _ORIGIN_FORM.fullmatch(target)
    if match is None:
        host, target = _other_form(method, host, target)
        match = _ORIGIN_FORM.fullmatch(target)
    if match is not None:
        path = match[1].decode("ascii")
    elif target == b"*":
        path = "*"
    else:
        raise MalformedError("The request target is malformed.")
    if b"expect" in values:
        _check_expectation(values[b"expect"])
    length = 0
    if b"content-length" in values or b"transfer-encoding" in values:
        lengths = values.get(b"content-length", [])
        codings = values.get(b"transfer-encoding", [])
        length = request_body_length(lengths, codings, is_http_10=is_http_10)
    return Request(
        method.decode("ascii"),
        path,
        target,
        host,
        is_http_10,
        lines,
        values,
        length,
        is_http_10 or b"close" in connection_options(values),
    )


def _check_expectation(values: list[bytes]) -> None:
    if b",".join(values).lower() != b"100-continue":
        raise MalformedError(
            "Only 100-continue can be expected.", HTTPStatus.EXPECTATION_FAILED
        )


def _host(values: Values, *, is_http_10: bool) -> bytes:
    hosts = values.get(b"host")
    if hosts is None and is_http_10:
        return b""
    if hosts is None or len(hosts) != 1:
        raise MalformedError("There must be one Host field.")
    host = hosts[0]
    if host not in _good_hosts:
        if not _HOST.fullmatch(host):
            raise MalformedError("The Host field is malformed.")
        if len(_good_hosts) < _REMEMBERED:
            _good_hosts.add(host)
    return host


def _other_form(method: bytes, host: bytes, target: bytes) -> tuple[bytes, bytes]:
    """Return host and target of a request whose target does not begin with a slash.

    In absolute form the target names the host, and what Host says is ignored. It is
    never connected to: routes alone say where requests go.
    """
    match = _ABSOLUTE_FORM.fullmatch(target)
    if match is None:
        if target == b"*" and method == b"OPTIONS":
            return host, target
        raise MalformedError("The request target is malformed.")
    authority, rest = match.groups()
    if not _HOST.fullmatch(authority):
        raise MalformedError("The request target is malformed.")
    return authority, rest if rest.startswith(b"/") else b"/" + rest


UNREADABLE: Final = Request(
    method="-",
    path="-",
    target=b"",
    host=b"",
    is_http_10=False,
    lines=[],
    values={},
    length=0,
    closes=True,
)
"""Stands for a request that could not be understood."""
