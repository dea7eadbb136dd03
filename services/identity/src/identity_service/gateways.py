"""The status of the gateways, each from its internal port."""

import asyncio
import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from identity_service.usecases.caching.cached_value import CachedValue
from service_kit.tokens.fetching import FetchError, fetch

_LONGEST_LOOK_UP: Final = 2.0
"""Seconds for the addresses of a name."""

_MOST_GATEWAYS: Final = 32

_MOST_BYTES: Final = 262_144
"""Of what one gateway says: a few hundred replicas."""

_HTTP_PORT: Final = 80


@dataclass(frozen=True, slots=True)
class GatewayStatus:
    """The status of one gateway, or why it could not be read."""

    url: str
    status: dict[str, Any] | None
    """As the gateway's documentation describes ``/status``."""
    reason: str | None = None

    @property
    def is_reachable(self) -> bool:
        """Whether it said how it is."""
        return self.status is not None


class Gateways:
    """Asks every gateway for its status; each address of a name is one gateway."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = urls
        self._session: aiohttp.ClientSession | None = None
        self._cached = CachedValue(self._ask)

    async def status(self) -> list[GatewayStatus]:
        """Return the status of each gateway, at most a second old."""
        return await self._cached.get()

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _ask(self, _: object) -> list[GatewayStatus]:
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        session = self._session
        found = await asyncio.gather(*map(_each_address, self._urls))
        urls = [url for addresses in found for url in addresses][:_MOST_GATEWAYS]
        return await asyncio.gather(*(_status(session, url) for url in urls))


async def _each_address(url: str) -> list[str]:
    """Return the URL with each address of its host; as it is if there is none.

    IPv6 addresses are used only without IPv4 ones: `localhost` has both.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _HTTP_PORT
    loop = asyncio.get_running_loop()
    for family, form in ((socket.AF_INET, "{}"), (socket.AF_INET6, "[{}]")):
        try:
            async with asyncio.timeout(_LONGEST_LOOK_UP):
                found = await loop.getaddrinfo(
                    host, port, family=family, type=socket.SOCK_STREAM
                )
        except (OSError, TimeoutError):
            continue
        addresses = sorted({str(each[4][0]) for each in found})
        return [
            parts._replace(netloc=f"{form.format(address)}:{port}").geturl()
            for address in addresses
        ]
    return [url]


async def _status(session: aiohttp.ClientSession, url: str) -> GatewayStatus:
    try:
        fetched = await fetch(session, url, max_bytes=_MOST_BYTES)
        status = json.loads(fetched.body)
    except FetchError as error:
        return GatewayStatus(url, None, str(error))
    except ValueError:
        return GatewayStatus(url, None, "its status is no JSON")
    if not isinstance(status, dict):
        return GatewayStatus(url, None, "its status is no object")
    return GatewayStatus(url, status)
