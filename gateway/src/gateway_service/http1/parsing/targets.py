"""Request targets, and the one spelling in which they are routed and passed on."""

import re
from http import HTTPStatus
from typing import Final, NamedTuple

from gateway_service.http1.parsing.grammar import HOST, MalformedError

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

_BROKEN_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_NEEDLESS_ESCAPE: Final = re.compile(
    rb"%(?:2[DEde]|3[0-9]|4[1-9A-Fa-f]|5[0-9AFaf]|6[1-9A-Fa-f]|7[0-9AEae])"
)
"""Of an unreserved character: means the same as the character (RFC 3986, 6.2.2.2)."""
_RAW_IN_PATH: Final = re.compile(rb'["<>\[\]^`{|}\x80-\xff]')
"""What browsers and others send as it is, and what the grammar wants escaped.

The WHATWG URL standard leaves brackets and bars in a path. A backslash is not here:
browsers take it for a slash.
"""
_RAW_IN_QUERY: Final = re.compile(rb"[\x80-\xff]")


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
    if target == b"*" and method == b"OPTIONS":
        return Target("*", target, None)
    authority = None
    if not target.startswith(b"/"):
        authority, target = _absolute_form(target)
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
    if _BROKEN_ESCAPE.search(path) or not _is_utf8(target):
        raise _malformed()
    path = _NEEDLESS_ESCAPE.sub(_unescape, path)
    path = _RAW_IN_PATH.sub(_escape, path)
    return path + mark + _RAW_IN_QUERY.sub(_escape, query)


def _is_utf8(target: bytes) -> bool:
    try:
        target.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _unescape(match: re.Match[bytes]) -> bytes:
    return bytes.fromhex(match[0][1:].decode("ascii"))


def _escape(match: re.Match[bytes]) -> bytes:
    return b"%%%02X" % ord(match[0])


def _absolute_form(target: bytes) -> tuple[bytes, bytes]:
    """Return authority and path of a target that does not begin with a slash.

    The authority goes before what Host says. It is never connected to: routes alone
    say where requests go.
    """
    match = _ABSOLUTE_FORM.fullmatch(target)
    if match is None:
        raise _malformed()
    authority, rest = match.groups()
    if not HOST.fullmatch(authority):
        raise _malformed()
    return authority, rest if rest.startswith(b"/") else b"/" + rest


def _malformed() -> MalformedError:
    return MalformedError("The request target is malformed.")
