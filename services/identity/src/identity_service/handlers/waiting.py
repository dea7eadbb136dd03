"""Responses that wait until a document changes (RFC 7240, ``Prefer: wait``)."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from identity_service.handlers.context import RequestContext
from identity_service.handlers.requests.preferences import (
    PREFERENCE_APPLIED,
    preference,
)
from identity_service.usecases.caching.watching import Watch

LONGEST_WAIT: Final = 30
"""Seconds. What is asked beyond is not granted."""

_MAX_DIGITS: Final = 9


def preferred_wait(request: web.Request) -> int | None:
    """Return for how many seconds the client wants to wait, None if it does not."""
    wanted = preference(request, "wait") or ""
    if not (wanted.isascii() and wanted.isdigit() and len(wanted) <= _MAX_DIGITS):
        return None
    return min(int(wanted), LONGEST_WAIT)


async def waited_response(
    request: web.Request,
    watch: Watch[Any],
    respond: Callable[[], Awaitable[web.Response]],
) -> web.Response:
    """Return the response, late if it would be 304 and the client prefers to wait.

    It comes as soon as the document changes, or 304 after the time preferred. Who
    cannot wait now gets it at once, and sees that no preference was applied.
    """
    seconds, seen = preferred_wait(request), watch.current
    response = await respond()
    if seconds is None:
        return response
    if response.status == HTTPStatus.NOT_MODIFIED:
        context = RequestContext(request)
        device, waiters = context.device, context.services.waiters
        with waiters.admitted(device) as is_admitted:
            if not is_admitted:
                return response
            await waiters.wait(watch.other_than(seen), seconds, device)
        response = await respond()
    response.headers[PREFERENCE_APPLIED] = f"wait={seconds}"
    return response
