"""Find the access token in a request, without verifying it."""

import re
from collections.abc import Iterator
from enum import Enum, auto
from itertools import islice
from typing import Final, NamedTuple

from aiohttp import hdrs
from multidict import CIMultiDictProxy, istr

ACCESS_TOKEN_HEADER: Final = istr("X-Access-Token")

SECURE_ACCESS_TOKEN_COOKIE: Final = "__Secure-access_token"  # noqa: S105 - a name
"""Browsers take it from HTTPS alone. Its path is /api, so it can't be ``__Host-``."""

PLAIN_ACCESS_TOKEN_COOKIE: Final = "access_token"  # noqa: S105 - a cookie's name
"""For plain HTTP, that is for development."""

_BEARER: Final = re.compile(
    r"bearer(?: ([A-Za-z0-9._~+/-]+=*))?", re.ASCII | re.IGNORECASE
)
"""``Bearer``, one space, b64token (RFC 6750 section 2.1); alone it holds no token."""

MOST_CANDIDATES: Final = 8
"""Cookies of one name that are tried: each may cost a signature's verification."""


class CredentialsSource(Enum):
    """How a token was sent: browsers attach cookies unasked, so CSRF matters there."""

    HEADER = auto()
    COOKIE = auto()


class Credentials(NamedTuple):
    """Unverified tokens, one of which should be valid, and how they were sent.

    A header names one. Cookies may be several of one name: applications on other
    ports of a host, on its other paths and on sibling domains share the browser's.
    """

    untrusted_tokens: tuple[str, ...]
    source: CredentialsSource


class MalformedCredentialsError(Exception):
    """The request names no one token: malformed, or several that differ."""


def access_token_cookie(*, secure: bool) -> str:
    """Return the name of the cookie that holds access tokens."""
    return SECURE_ACCESS_TOKEN_COOKIE if secure else PLAIN_ACCESS_TOKEN_COOKIE


def read_access_token(
    headers: CIMultiDictProxy[str], *, cookie: str
) -> Credentials | None:
    """Return the access token in a header, else those in cookies of that name.

    An empty header or cookie is none. A cookie beside a header is ignored, however
    wrong the header's token is.

    Raises `MalformedCredentialsError`: a header is repeated or malformed, or two
    headers name different tokens.
    """
    if token := read_header_token(headers):
        return Credentials((token,), CredentialsSource.HEADER)
    if tokens := read_cookies(headers, cookie):
        return Credentials(tokens, CredentialsSource.COOKIE)
    return None


def read_header_token(headers: CIMultiDictProxy[str]) -> str:
    """Return the access token in a header, or nothing; see `read_access_token`."""
    own = _single(headers, ACCESS_TOKEN_HEADER)
    authorization = _single(headers, hdrs.AUTHORIZATION)
    bearer = _bearer_token(authorization) if authorization else ""
    if own and bearer and own != bearer:
        raise MalformedCredentialsError("two headers name different tokens")
    return own or bearer


def read_cookies(headers: CIMultiDictProxy[str], name: str) -> tuple[str, ...]:
    """Return the different values of all cookies of a name, at most a few of them.

    They are in the browser's order: the longest path first, then the oldest.
    """
    values = dict.fromkeys(_cookies(headers, name))
    return tuple(islice(values, MOST_CANDIDATES))


def _single(headers: CIMultiDictProxy[str], name: str) -> str:
    """Return the header's value, or nothing."""
    if name not in headers:
        return ""
    values = headers.getall(name)
    if len(values) > 1:
        raise MalformedCredentialsError(f"{name} is repeated")
    return values[0]


def _bearer_token(authorization: str) -> str:
    """Return the bearer token, or nothing; other schemes are none of our business."""
    if authorization[:6].lower() != "bearer":
        return ""
    found = _BEARER.fullmatch(authorization)
    if found is None:
        raise MalformedCredentialsError("not a bearer token")
    return found[1] or ""


def _cookies(headers: CIMultiDictProxy[str], name: str) -> Iterator[str]:
    """Yield what is in every cookie of that name, empty ones left out."""
    for header in headers.getall(hdrs.COOKIE, ()):
        for pair in header.split(";"):
            found, _, value = pair.strip(" \t").partition("=")
            if found == name and value:
                yield value
