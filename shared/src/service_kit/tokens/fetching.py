"""Fetch one small document from a server that may be slow, broken or hostile."""

import re
from collections.abc import Mapping
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final, NamedTuple

import aiohttp
from aiohttp import hdrs

from service_kit.clock import utc_now
from service_kit.connection_faults import connection_fault

_TOTAL_SECONDS: Final = 5.0
"""In all, so that a server that drips bytes is given up."""

_LATE_SECONDS: Final = 3.0
"""How much later than asked a response may be that waited for a change."""

_CONNECT_SECONDS: Final = 1.0

_HEADERS: Final[Mapping[str, str]] = {hdrs.ACCEPT_ENCODING: "identity"}
"""A compressed response could be a bomb, and the documents are small."""

_NO_HEADERS: Final[Mapping[str, str]] = {}

_PREFERENCE: Final = "Prefer"
_APPLIED: Final = "Preference-Applied"
_WAITED: Final = re.compile(r"(?:^|[\s,])wait\s*=", re.ASCII | re.IGNORECASE)
"""Of RFC 7240."""

_LONGEST_ETAG: Final = 256
"""Characters. A longer one is as good as none."""

_MAX_AGE: Final = re.compile(r"(?:^|[\s,])max-age=(\d{1,9})(?:$|[\s,])", re.ASCII)


class FetchError(Exception):
    """The document could not be fetched; the text says why, in our words."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


class Fetched(NamedTuple):
    """What the server sent."""

    body: bytes
    """Empty if the document is unchanged."""
    max_age: timedelta | None
    """How long it may be cached, if the server says so (RFC 9111)."""
    etag: str | None
    is_unchanged: bool
    """Whether it still has the ETag that was sent (RFC 9110 section 13)."""
    is_waited: bool
    """Whether the server waits for a change when it is asked to (RFC 7240)."""
    clock_ahead: timedelta | None
    """How far this host's clock is ahead of the server's, if the server says."""


async def fetch(
    session: aiohttp.ClientSession,
    url: str,
    *,
    max_bytes: int,
    wait: timedelta = timedelta(),
    etag: str | None = None,
    headers: Mapping[str, str] = _NO_HEADERS,
) -> Fetched:
    """Return the document, following no redirect and reading no more than allowed.

    ``headers`` are added. With ``etag``, the server may wait as long as ``wait``
    for another version.

    Raises `FetchError`: it could not be fetched, for any reason.
    """
    seconds = int(wait.total_seconds())
    sent = {**headers, **_HEADERS}
    total = _TOTAL_SECONDS
    if seconds:
        sent[_PREFERENCE] = f"wait={seconds}"
    if etag is not None:
        sent[hdrs.IF_NONE_MATCH] = etag
        total = max(_TOTAL_SECONDS, seconds + _LATE_SECONDS)
    try:
        async with session.get(
            url,
            headers=sent,
            timeout=aiohttp.ClientTimeout(total, sock_connect=_CONNECT_SECONDS),
            allow_redirects=False,
            auto_decompress=False,
        ) as response:
            return await _fetched(response, max_bytes, is_conditional=etag is not None)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        reason = connection_fault(error) or type(error).__name__
        raise FetchError(reason) from error


async def _fetched(
    response: aiohttp.ClientResponse, max_bytes: int, *, is_conditional: bool
) -> Fetched:
    is_unchanged = is_conditional and response.status == HTTPStatus.NOT_MODIFIED
    if response.status != HTTPStatus.OK and not is_unchanged:
        raise FetchError(f"status {response.status}", response.status)
    if hdrs.CONTENT_ENCODING in response.headers:
        raise FetchError("compressed, though not asked to be")
    etag = response.headers.get(hdrs.ETAG)
    clock_ahead = _clock_ahead(response)  # the body may take its time
    return Fetched(
        await read_body(response, max_bytes),
        _max_age(response),
        etag if etag and len(etag) <= _LONGEST_ETAG else None,
        is_unchanged=is_unchanged,
        is_waited=bool(_WAITED.search(response.headers.get(_APPLIED, ""))),
        clock_ahead=clock_ahead,
    )


async def read_body(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """Return the whole body, or raise `FetchError` if it is longer than allowed."""
    body = bytearray()
    async for data in response.content.iter_any():
        body += data
        if len(body) > max_bytes:
            raise FetchError(f"more than {max_bytes} bytes")
    return bytes(body)


def _clock_ahead(response: aiohttp.ClientResponse) -> timedelta | None:
    if hdrs.AGE in response.headers:  # a cache says when it got it
        return None
    try:
        theirs = parsedate_to_datetime(response.headers.get(hdrs.DATE, ""))
        if theirs.tzinfo is None:  # -0000: in UTC, of a host that knows no zone
            theirs = theirs.replace(tzinfo=UTC)
        return utc_now() - theirs.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _max_age(response: aiohttp.ClientResponse) -> timedelta | None:
    found = _MAX_AGE.search(response.headers.get(hdrs.CACHE_CONTROL, "").lower())
    return timedelta(seconds=int(found[1])) if found else None
