"""Answer with a resource, if the caller may read it."""

import hashlib
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from content_service.domain.resources import Access, Resource
from content_service.handlers.ready_response import ReadyResponse, ReadyText
from service_kit.auth import require_role
from service_kit.tokens import AccessClaims

Authenticate = Callable[[web.Request], Awaitable[AccessClaims]]
"""Returns the claims of the request's access token, or refuses it."""

PUBLIC_MAX_AGE: Final = 60
"""Seconds a cache may keep what everybody may read."""


def handler_for(resource: Resource, authenticate: Authenticate) -> Handler:
    """Return the handler that guards and serves the resource."""
    match resource.access:
        case Access.PUBLIC:
            return _public(resource)
        case Access.AUTHENTICATED:
            return _protected(resource, authenticate, None)
        case Access.MODERATOR | Access.ADMIN as role:
            return _protected(resource, authenticate, role.value)


def _public(resource: Resource) -> Handler:
    """Serve it to anybody and any cache; whatever token comes with it is ignored."""
    etag = hashlib.sha256(resource.text.encode()).hexdigest()[:32]
    caching: dict[str, str] = {
        hdrs.ETAG: f'"{etag}"',
        hdrs.CACHE_CONTROL: f"public, max-age={PUBLIC_MAX_AGE}",
    }
    ready = ReadyText(resource.text, caching)

    async def handler(request: web.Request) -> web.Response:
        known = request.if_none_match or ()
        if any(each.value in {etag, "*"} for each in known):
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=caching)
        return ReadyResponse(ready)

    return handler


def _protected(
    resource: Resource, authenticate: Authenticate, role: str | None
) -> Handler:
    """Serve it to who has a valid access token, and the role if one is needed."""
    ready = ReadyText(resource.text, {hdrs.CACHE_CONTROL: "no-store"})

    async def handler(request: web.Request) -> web.Response:
        claims = await authenticate(request)
        if role is not None:
            require_role(claims, role)
        return ReadyResponse(ready)

    return handler
