"""Request targets, and the one spelling in which they are routed and passed on."""

import itertools
import re
from http import HTTPStatus
from typing import Final, NamedTuple

from gateway_service.http1.parsing.grammar import MalformedError, is_host

_ORIGIN_FORM: Final = re.compile(
    rb"(/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]++"
    rb"|%(?:2[0-9A-CFa-cf]|3[A-Fa-f]|40|5[B-Eb-e]|60|7[B-Db-d]|[89A-Fa-f][0-9A-Fa-f])"
    rb")*+)(\?[!\"$-~]*+)?"
)
"""Path and query of RFC 3986, the query with what browsers leave in it.

A path has one spelling: a byte that needs no escape must not be escaped, and no
control character may be. Otherwise two readers could see two paths.
"""
_ABSOLUTE_FORM: Final = re.compile(rb"https?://([^/?#]*)(.*)", re.IGNORECASE)

_UNRESERVED: Final = (
    b"-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)
"""An escape of one of these means the same as the character (RFC 3986, 6.2.2.2)."""


def _meaning(digits: bytes) -> bytes:
    """Return how the escape with these digits is spelled."""
    byte = bytes((int(digits, 16),))
    return byte if byte in _UNRESERVED else b"%" + digits


_HEX_DIGITS: Final = b"0123456789ABCDEFabcdef"
_ESCAPES: Final = {
    digits: _meaning(digits)
    for digits in map(bytes, itertools.product(_HEX_DIGITS, repeat=2))
}
"""How each escape is spelled, by its digits."""

_NOT_ASCII: Final = bytes(range(0x80, 0x100))


def _with_escapes(raw: bytes) -> tuple[bytes, ...]:
    """Return each byte as it is written where those of ``raw`` must be escaped."""
    return tuple(b"%%%02X" % b if b in raw else bytes((b,)) for b in range(256))


_IN_PATH: Final = _with_escapes(b'"<>[]^`{|}' + _NOT_ASCII)
"""What browsers and others send as it is, and what the grammar wants escaped.

The WHATWG URL standard leaves brackets and bars in a path. A backslash is not here:
browsers take it for a slash.
"""
_IN_QUERY: Final = _with_escapes(_NOT_ASCII)


class Target(NamedTuple):
    """What a request is for."""

    path: str
    """Without the query; `*` if the server is meant."""
    target: bytes
    """Path and query."""
    authority: bytes | None
    """In absolute form the target names the host, and what Host says is ignored."""


def parse_target(method: bytes, target: bytes, longest: int) -> Target:
    """Return the target in its one spelling, of at most ``longest`` bytes."""
    match = _ORIGIN_FORM.fullmatch(target)
    if match is not None:
        return Target(match[1].decode("ascii"), target, None)
    authority = None
    if not target.startswith((b"/", b"*")):
        authority, target = _absolute_form(method, target)
    if target == b"*" and method == b"OPTIONS":
        return Target("*", target, authority)
    target = _one_spelling(target)
    if len(target) > longest:
        raise MalformedError(
            "The request target is too long.", HTTPStatus.REQUEST_URI_TOO_LONG
        )
    match = _ORIGIN_FORM.fullmatch(target)
    if match is None:
        raise _malformed()
    return Target(match[1].decode("ascii"), target, authority)


def _one_spelling(target: bytes) -> bytes:
    path, mark, query = target.partition(b"?")
    if not _is_utf8(target):
        raise _malformed()
    first, *escapes = path.split(b"%")
    try:
        path = first + b"".join([_ESCAPES[each[:2]] + each[2:] for each in escapes])
    except KeyError:  # its escape is broken
        raise _malformed() from None
    path = b"".join([_IN_PATH[byte] for byte in path])
    return path + mark + b"".join([_IN_QUERY[byte] for byte in query])


def _is_utf8(target: bytes) -> bool:
    try:
        target.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _absolute_form(method: bytes, target: bytes) -> tuple[bytes, bytes]:
    """Return authority and path of a target that does not begin with a slash.

    The authority goes before what Host says. It is never connected to: routes alone
    say where requests go.
    """
    match = _ABSOLUTE_FORM.fullmatch(target)
    if match is None:
        raise _malformed()
    authority, rest = match.groups()
    if not is_host(authority):
        raise _malformed()
    if method == b"OPTIONS" and not rest:
        return authority, b"*"  # RFC 9112, 3.2.4
    return authority, rest if rest.startswith(b"/") else b"/" + rest


def _malformed() -> MalformedError:
    return MalformedError("The request target is malformed.")
