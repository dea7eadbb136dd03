"""The device that sent a request."""

import time
from datetime import timedelta
from typing import Final

from aiohttp import hdrs, web

from identity_service.domain.sessions.sessions import Device
from service_kit.requests.client_addresses import TrustedProxies

_LONGEST_NAME: Final = 255
_UNKNOWN: Final = "unknown"

BEGAN_AT: Final = web.RequestKey("BEGAN_AT", float)
"""When a request began, by our monotonic clock."""


def device_of(request: web.BaseRequest, proxies: TrustedProxies) -> Device:
    """Return what the client calls itself, in printable ASCII, and its address."""
    name = request.headers.get(hdrs.USER_AGENT, "").strip()[:_LONGEST_NAME]
    printable = "".join(
        character if " " <= character <= "~" else "?" for character in name
    )

    def is_gone() -> bool:
        return request.transport is None or request.transport.is_closing()

    def waited() -> timedelta:
        return timedelta(seconds=time.monotonic() - request[BEGAN_AT])

    peer = request.remote or ""
    forwarded = request.headers.getall(hdrs.X_FORWARDED_FOR, ())
    address = proxies.client_of(peer, forwarded)
    return Device(
        printable or _UNKNOWN,
        address or _UNKNOWN,
        is_forwarded=bool(forwarded) and proxies.trusts(peer),
        is_gone=is_gone,
        waited=waited,
    )
