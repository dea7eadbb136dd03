"""Fetch one small document from a server that may be slow, broken or hostile."""

import re
from datetime import timedelta
from http import HTTPStatus
from typing import Final, NamedTuple

import aiohttp
from aiohttp import hdrs

_TIMEOUT: Final = aiohttp.ClientTimeout(total=5, sock_connect=1)
"""Seconds. In all, so that a server that drips octets is no longer waited for."""

_HEADERS: Final = {hdrs.ACCEPT_ENCODING: "identity"}
"""A compressed answer could be a bomb, and the documents are small."""

_MAX_AGE: Final = re.compile(r"(?:^|[\s,])max-age=(\d{1,9})(?:$|[\s,])", re.ASCII)


class FetchError(Exception):
    """The document could not be had; the text says why, in our words."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


class Fetched(NamedTuple):
    """What the server sent."""

    body: bytes
    max_age: timedelta | None
    """How long it may be kept, if the server says so (RFC 9111)."""


async def fetch(
    session: aiohttp.ClientSession, url: str, *, max_octets: int
) -> Fetched:
    """Return the document, following no redirect and reading no more than allowed.

    Raises
    ------
    FetchError
        It could not be had, whatever the reason.
    """
    try:
        async with session.get(
            url,
            headers=_HEADERS,
            timeout=_TIMEOUT,
            allow_redirects=False,
            auto_decompress=False,
        ) as response:
            if response.status != HTTPStatus.OK:
                raise FetchError(f"status {response.status}", response.status)
            if hdrs.CONTENT_ENCODING in response.headers:
                raise FetchError("compressed, though not asked to be")
            return Fetched(await _body(response, max_octets), _max_age(response))
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise FetchError(type(error).__name__) from error


async def _body(response: aiohttp.ClientResponse, max_octets: int) -> bytes:
    body = bytearray()
    async for octets in response.content.iter_any():
        body += octets
        if len(body) > max_octets:
            raise FetchError(f"more than {max_octets} octets")
    return bytes(body)


def _max_age(response: aiohttp.ClientResponse) -> timedelta | None:
    found = _MAX_AGE.search(response.headers.get(hdrs.CACHE_CONTROL, "").lower())
    return timedelta(seconds=int(found[1])) if found else None
