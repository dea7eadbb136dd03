"""Which header fields cross the gateway, and what becomes of them.

Fields that speak of one hop (RFC 9110, 7.6.1), or that only the gateway may say, are
taken out; all others pass as the octets they came in.
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from gateway_service.framing import CHUNKED, field_name
from gateway_service.remembered import Remembered

Values = dict[bytes, list[bytes]]
"""The values of each field that the gateway itself reads, by lower-case name."""

WEBSOCKET: Final = b"websocket"
"""The one protocol to switch to; h2c would carry requests past the gateway."""

_HOP_BY_HOP: Final = frozenset(
    {
        b"http2-settings",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
    }
)

_READ_OF_REQUESTS: Final = frozenset(
    {
        b"access-control-request-method",
        b"connection",
        b"content-length",
        b"expect",
        b"forwarded",
        b"host",
        b"max-forwards",
        b"origin",
        b"transfer-encoding",
        b"upgrade",
        b"via",
        b"x-forwarded-for",
        b"x-forwarded-proto",
    }
)
"""What an upstream should see of these is written anew."""

_CLAIMS: Final = (b"x-forwarded-", b"x-original-", b"x-role", b"x-user")
"""Beginnings of names by which an upstream might be told who or what a request is."""

_CLAIM_NAMES: Final = frozenset(
    {b"content-length", b"forwarded", b"x-real-ip", b"x-request-id", b"x-rewrite-url"}
)

_READ_OF_ANSWERS: Final = frozenset(
    {b"connection", b"content-length", b"date", b"transfer-encoding", b"upgrade"}
)

_INSIDE_NAMES: Final = frozenset(
    {b"alt-svc", b"server", b"via", b"x-powered-by", b"x-request-id"}
)
"""What would tell of the inside, or lead around the gateway."""

_REPEATED: Final = frozenset(
    {
        b"accept",
        b"accept-encoding",
        b"accept-language",
        b"access-control-request-method",
        b"cache-control",
        b"connection",
        b"content-length",
        b"content-type",
        b"cross-origin-resource-policy",
        b"date",
        b"host",
        b"origin",
        b"pragma",
        b"priority",
        b"referrer-policy",
        b"server",
        b"transfer-encoding",
        b"upgrade-insecure-requests",
        b"user-agent",
        b"vary",
        b"x-content-type-options",
        b"x-requested-with",
    }
)
_REPEATED_PREFIXES: Final = (b"sec-ch-", b"sec-fetch-")
"""Names of lines that most messages have alike, and that never hold a secret."""

_LONGEST_REPEATED: Final = 256
"""Octets of such a line."""

_NO_OPTIONS: Final[frozenset[bytes]] = frozenset()
_USUAL_OPTIONS: Final = {
    b"keep-alive": frozenset({b"keep-alive"}),
    b"close": frozenset({b"close"}),
}
_NAME_NO_FIELD: Final = frozenset({b"close", b"keep-alive", b"upgrade", b"te", b""})
"""Connection options other than the name of a field that would pass."""


class _Fate(NamedTuple):
    """What becomes of the lines of one name."""

    is_read: bool
    passes: bool
    is_repeated: bool


Field = tuple[bytes, bytes]
"""Lower-case name and value of a field that the gateway reads."""


class FieldPolicy:
    """Sorts the fields of one direction."""

    __slots__ = ("_is_dropped", "_lines", "_names", "_read")

    def __init__(
        self, read: frozenset[bytes], is_dropped: Callable[[bytes], bool]
    ) -> None:
        self._read = read
        self._is_dropped = is_dropped
        self._names: Remembered[bytes, _Fate] = Remembered()
        """By name as it was sent, with the colon that a line must have."""
        self._lines: Remembered[bytes, bool | Field] = Remembered()
        """By whole line: what it says to the gateway, else whether it passes."""

    def sort(self, lines: Iterable[bytes]) -> tuple[list[bytes], Values]:
        """Return the lines that pass as they are, and what the gateway reads."""
        passed: list[bytes] = []
        values: Values = {}
        known = self._lines
        for line in lines:
            found = known.get(line)
            if found is None:
                found = self._judge(line)
            if found is True:
                passed.append(line)
            elif found:
                name, value = found
                if name in values:
                    values[name].append(value)
                else:
                    values[name] = [value]
        if b"connection" in values:
            named = connection_options(values) - _NAME_NO_FIELD
            if named:
                passed = [p for p in passed if field_name(p).lower() not in named]
        return passed, values

    def _judge(self, line: bytes) -> bool | Field:
        fate = self._names.get(line[: line.find(b":") + 1]) or self._fate(line)
        found: bool | Field = fate.passes
        if fate.is_read:
            name, _, value = line.partition(b":")
            found = (name.lower(), value.strip(b" \t"))
        if fate.is_repeated and len(line) <= _LONGEST_REPEATED:
            self._lines.keep(line, found)
        return found

    def _fate(self, line: bytes) -> _Fate:
        name = field_name(line)
        lower = name.lower()
        fate = _Fate(
            is_read=lower in self._read,
            passes=lower not in _HOP_BY_HOP and not self._is_dropped(lower),
            is_repeated=lower in _REPEATED or lower.startswith(_REPEATED_PREFIXES),
        )
        return self._names.keep(name + b":", fate)


def connection_options(values: Values) -> frozenset[bytes]:
    """Return what Connection says, in lower case."""
    lines = values.get(b"connection")
    if lines is None:
        return _NO_OPTIONS
    usual = _USUAL_OPTIONS.get(lines[0]) if len(lines) == 1 else None
    if usual is not None:
        return usual
    options = b",".join(lines).lower().split(b",")
    return frozenset(option.strip(b" \t") for option in options)


def body_line(length: int) -> bytes:
    """Return the one framing of a message that is sent on."""
    if length == CHUNKED:
        return b"Transfer-Encoding: chunked\r\n"
    return b"Content-Length: %d\r\n" % length


def forwarded_lines(address: bytes, scheme: bytes) -> bytes:
    """Return what tells an upstream who asks, and how."""
    return b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\n" % (address, scheme)


def _claims_to_be_the_gateway(name: bytes) -> bool:
    """Whether a client would speak for the gateway.

    An underscore counts as a hyphen, because CGI and its heirs confuse the two.
    """
    name = name.replace(b"_", b"-")
    return name in _CLAIM_NAMES or name.startswith(_CLAIMS)


def _belongs_inside(name: bytes) -> bool:
    """Whether an upstream's field is the gateway's to say, or nobody's."""
    return name in _INSIDE_NAMES or name.startswith(b"access-control-")


REQUEST_FIELDS: Final = FieldPolicy(_READ_OF_REQUESTS, _claims_to_be_the_gateway)
ANSWER_FIELDS: Final = FieldPolicy(_READ_OF_ANSWERS, _belongs_inside)
