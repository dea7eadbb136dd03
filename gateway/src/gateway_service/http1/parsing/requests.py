"""A client's request as it is understood."""

from http import HTTPStatus
from typing import Final, NamedTuple

from gateway_service.http1.parsing.cache import store
from gateway_service.http1.parsing.fields import (
    WEBSOCKET,
    FieldPolicy,
    Values,
    connection_options,
)
from gateway_service.http1.parsing.grammar import (
    MalformedError,
    is_host,
    parse_request_line,
    request_body_length,
)
from gateway_service.http1.parsing.limits import HeadLimits
from gateway_service.http1.parsing.targets import parse_target

SAFE: Final = frozenset({"GET", "HEAD"})
"""Methods of which a replica may be asked while another still works on the same."""
IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
"""Methods that may be sent again (RFC 9110, 9.2.2)."""

_good_hosts: Final[dict[bytes, bool]] = {}
"""Hosts found well-formed."""

_LONGEST_CACHED: Final = 256
"""Bytes of a host or a request line that is cached; one with a query never is."""


class _Start(NamedTuple):
    """What a request line says."""

    method: str
    path: str
    target: bytes
    authority: bytes | None
    """In absolute form the target names the host, and what Host says is ignored."""
    is_http_10: bool


_starts: Final[dict[bytes, _Start]] = {}


class Request:
    """One request: what is routed by, what is passed on, and how its body is framed."""

    def __init__(
        self,
        method: str,
        path: str,
        target: bytes,
        lines: list[bytes],
        values: Values,
        *,
        host: bytes,
        length: int,
        is_http_10: bool,
        closes: bool,
    ) -> None:
        self.method = method
        self.path = path
        """Without the query, in its one spelling; `*` if the server is meant."""
        self.target = target
        """Path and query."""
        self.lines = lines
        self.values = values
        self.host = host
        """Empty if an HTTP/1.0 client sent none."""
        self.length = length
        """Of the body: bytes, or `CHUNKED`."""
        self.is_http_10 = is_http_10
        self.closes = closes
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

    def texts(self, name: str) -> list[str]:
        """Return the values of a field that is read, a character for each byte."""
        values = self.values.get(name.encode("ascii"))
        return [] if values is None else [each.decode("latin-1") for each in values]

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for 100 before it sends the body."""
        return b"expect" in self.values and not self.is_http_10


def read_request(head: list[bytes], limits: HeadLimits, fields: FieldPolicy) -> Request:
    """Understand the lines of a head, or raise MalformedError.

    ``fields`` reads at least `READ_OF_REQUESTS`.
    """
    head_lines = iter(head)
    line = next(head_lines)
    start = _starts.get(line) or _read_start(line, limits)
    method, path, target, authority, is_http_10 = start
    lines, values = fields.sort(head_lines)
    host = _host(values, is_http_10=is_http_10)
    if b"expect" in values:
        _check_expectation(values[b"expect"])
    length = 0
    if b"content-length" in values or b"transfer-encoding" in values:
        lengths = values.get(b"content-length", [])
        codings = values.get(b"transfer-encoding", [])
        length = request_body_length(lengths, codings, is_http_10=is_http_10)
    closes = b"connection" in values and b"close" in connection_options(values)
    return Request(
        method,
        path,
        target,
        lines,
        values,
        host=host if authority is None else authority,
        length=length,
        is_http_10=is_http_10,
        closes=closes or is_http_10,
    )


def _read_start(line: bytes, limits: HeadLimits) -> _Start:
    method, target, is_http_10 = parse_request_line(line)
    if method == b"CONNECT":
        raise MalformedError("This is no tunnel.", HTTPStatus.NOT_IMPLEMENTED)
    path, target, authority = parse_target(method, target, limits.start_line)
    start = _Start(method.decode("ascii"), path, target, authority, is_http_10)
    if b"?" not in target and len(line) <= _LONGEST_CACHED:
        store(_starts, line, start)
    return start


def _check_expectation(values: list[bytes]) -> None:
    if b",".join(values).lower() != b"100-continue":
        raise MalformedError(
            "The only supported expectation is 100-continue.",
            HTTPStatus.EXPECTATION_FAILED,
        )


def _host(values: Values, *, is_http_10: bool) -> bytes:
    hosts = values.get(b"host")
    if hosts is None and is_http_10:
        return b""
    if hosts is None or len(hosts) != 1:
        raise MalformedError("There must be one Host field.")
    host = hosts[0]
    if host not in _good_hosts:
        if not is_host(host):
            raise MalformedError("The Host field is malformed.")
        if len(host) <= _LONGEST_CACHED:
            store(_good_hosts, host, True)  # noqa: FBT003 - it was found well-formed
    return host


UNREADABLE: Final = Request(
    method="-",
    path="-",
    target=b"",
    lines=[],
    values={},
    host=b"",
    length=0,
    is_http_10=False,
    closes=True,
)
"""Stands for a request that could not be understood."""
