"""Answer with a resource, if the caller may read it."""

import hashlib
from http import HTTPStatus
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from content_service.domain.resources import Access, Resource
from service_kit.auth import authenticate, require_role

PUBLIC_MAX_AGE: Final = 60
"""Seconds a cache may keep what everybody may read."""

_MEDIA_TYPE: Final = "text/plain; charset=utf-8"


def handler_for(resource: Resource) -> Handler:
    """Return the handler that guards and serves the resource."""
    match resource.access:
        case Access.PUBLIC:
            return _public(resource)
        case Access.AUTHENTICATED:
            return _protected(resource, None)
        case Access.MODERATOR | Access.ADMIN as role:
            return _protected(resource, role.value)


def _public(resource: Resource) -> Handler:
    """Serve it to anybody and any cache; whatever token comes with it is ignored."""
    body = resource.text.encode()
    etag = hashlib.sha256(body).hexdigest()[:32]
    headers = {
        hdrs.ETAG: f'"{etag}"',
        hdrs.CACHE_CONTROL: f"public, max-age={PUBLIC_MAX_AGE}",
    }

    async def handler(request: web.Request) -> web.Response:
        known = request.if_none_match or ()
        if any(each.value in {etag, "*"} for each in known):
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
        return web.Response(
            body=body, headers={hdrs.CONTENT_TYPE: _MEDIA_TYPE, **headers}
        )

    return handler


def _protected(resource: Resource, role: str | None) -> Handler:
    """Serve it to who has a valid access token, and the role if one is needed."""
    body = resource.text.encode()
    headers = {hdrs.CONTENT_TYPE: _MEDIA_TYPE, hdrs.CACHE_CONTROL: "no-store"}

    async def handler(request: web.Request) -> web.Response:
        claims = await authenticate(request)
        if role is not None:
            require_role(claims, role)
        return web.Response(body=body, headers=headers)

    return handler
