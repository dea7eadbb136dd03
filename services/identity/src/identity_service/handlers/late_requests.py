"""Refuse requests that began so long ago that their clients have given up."""

import re
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from aiohttp import web

from identity_service.domain.errors import RequestTooOldError
from identity_service.handlers.context import SERVICES
from identity_service.handlers.requests.devices import BEGAN_AT

REQUEST_START: Final = "X-Request-Start"
"""When the request arrived at the gateway, in milliseconds of Unix time."""

_MILLISECONDS: Final = re.compile(r"[0-9]{1,15}", re.ASCII)


@web.middleware
async def refuse_late_requests(
    request: web.Request,
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> web.StreamResponse:
    """Note when the request began; refuse it if it is too old to act on.

    Without a trusted gateway's header, a request began when it arrived here.
    """
    age = _age(request)
    request[BEGAN_AT] = time.monotonic() - age.total_seconds()
    if age > request.app[SERVICES].settings.request_lifetime:
        raise RequestTooOldError
    return await handler(request)


def _age(request: web.Request) -> timedelta:
    services, start = request.app[SERVICES], request.headers.get(REQUEST_START, "")
    peer = request.remote or ""
    if not _MILLISECONDS.fullmatch(start) or not services.trusted_proxies.trusts(peer):
        return timedelta()
    return services.request_ages.age(peer, int(start) / 1000)
