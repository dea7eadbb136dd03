"""Header fields of a message: which are read here, and which pass unchanged."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from gateway_service.http1.parsing.cache import store
from gateway_service.http1.parsing.grammar import CHUNKED, check_line, field_name

Values = dict[bytes, list[bytes]]
"""The values of each field that is read, by lower-case name."""

WEBSOCKET: Final = b"websocket"
"""The one protocol to switch to; h2c would carry requests past the gateway."""

READ_OF_REQUESTS: Final = frozenset(
    {
        b"connection",
        b"content-length",
        b"expect",
        b"host",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Fields that say where a request goes and ends: every request policy reads them."""

HOP_BY_HOP: Final = frozenset(
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

_CACHED: Final = frozenset(
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
        b"via",
        b"x-content-type-options",
        b"x-forwarded-host",
        b"x-forwarded-proto",
        b"x-requested-with",
    }
)
_CACHED_PREFIXES: Final = (b"sec-ch-", b"sec-fetch-")
"""Names of lines that most messages have alike, and that never hold a secret."""

_LONGEST_CACHED: Final = 256
"""Bytes of such a line, and of a name that is cached."""

_EVERY_VALUE: Final[Mapping[bytes, bytes]] = {}

_NO_OPTIONS: Final[frozenset[bytes]] = frozenset()
_USUAL_OPTIONS: Final = {
    b"keep-alive": frozenset({b"keep-alive"}),
    b"close": frozenset({b"close"}),
}
_NAME_NO_FIELD: Final = frozenset({b"close", b"keep-alive", b"upgrade", b"te", b""})
"""Connection options other than the name of a field that would pass."""


class _Rule(NamedTuple):
    """What becomes of the lines of one name."""

    read_as: bytes
    """The name in lower case, if lines of it are read."""
    passes: bool
    is_cached: bool


Field = tuple[bytes, bytes, bytes]
"""Lower-case name and value of a field that is read, and its line if it passes too."""


class FieldPolicy:
    """Sorts the fields of one direction; ``passed_too`` are those read that pass.

    ``only_with`` names fields that are read only where their value has this in it.
    """

    __slots__ = (
        "_is_dropped",
        "_lines",
        "_names",
        "_only_with",
        "_passed_too",
        "_read",
    )

    def __init__(
        self,
        read: frozenset[bytes],
        is_dropped: Callable[[bytes], bool],
        passed_too: frozenset[bytes] = frozenset(),
        only_with: Mapping[bytes, bytes] = _EVERY_VALUE,
    ) -> None:
        self._read = read
        self._only_with = only_with
        self._passed_too = passed_too
        self._is_dropped = is_dropped
        self._names: dict[bytes, _Rule] = {}
        """By name as it was sent, with the colon that a line must have."""
        self._lines: dict[bytes, bytes | Field] = {}
        """By whole line: what it says if it is read, else what passes of it.

        Alike lines of many requests that wait are so in memory once.
        """

    def sort(self, lines: Iterable[bytes]) -> tuple[list[bytes], Values]:
        """Return the lines that pass as they are, and what is read."""
        passed: list[bytes] = []
        values: Values = {}
        cached = self._lines
        for line in lines:
            found = cached.get(line)
            if found is None:
                found = self._parse(line)
            if isinstance(found, bytes):
                if found:
                    passed.append(found)
            else:
                name, value, passing = found
                if passing:
                    passed.append(passing)
                if name in values:
                    values[name].append(value)
                else:
                    values[name] = [value]
        if b"connection" in values:
            named = connection_options(values)
            if not named <= _NAME_NO_FIELD:
                passed = [p for p in passed if field_name(p).lower() not in named]
        return passed, values

    def _parse(self, line: bytes) -> bytes | Field:
        check_line(line)
        end = line.find(b":") + 1
        name, passes, is_cached = self._names.get(line[:end]) or self._rule_for(line)
        passing = line if passes else b""
        found: bytes | Field = passing
        if name:
            value, wanted = line[end:].strip(b" \t"), self._only_with.get(name)
            if wanted is None or wanted in value.lower():
                found = (name, value, passing)
        if is_cached and len(line) <= _LONGEST_CACHED:
            store(self._lines, line, found)
        return found

    def _rule_for(self, line: bytes) -> _Rule:
        name = field_name(line)
        lower = name.lower()
        rule = _Rule(
            read_as=lower if lower in self._read else b"",
            passes=self._passes(lower),
            is_cached=lower in _CACHED or lower.startswith(_CACHED_PREFIXES),
        )
        if len(name) <= _LONGEST_CACHED:
            store(self._names, name + b":", rule)
        return rule

    def _passes(self, name: bytes) -> bool:
        if self._is_dropped(name) or name in HOP_BY_HOP:
            return False
        return name not in self._read or name in self._passed_too


def connection_options(values: Values) -> frozenset[bytes]:
    """Return what Connection says, in lower case."""
    lines = values.get(b"connection")
    if lines is None:
        return _NO_OPTIONS
    usual = _USUAL_OPTIONS.get(lines[0]) if len(lines) == 1 else None
    if usual is not None:
        return usual
    options = set(b",".join(lines).lower().split(b","))
    return frozenset(map(bytes.strip, options))


def body_line(length: int) -> bytes:
    """Return the one framing of a message that is sent on."""
    if length == CHUNKED:
        return b"Transfer-Encoding: chunked\r\n"
    return b"Content-Length: %d\r\n" % length
