"""Answer with a resource, if the caller may read it."""

import hashlib
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from multidict import CIMultiDict

from content_service.domain.resources import Access, Resource
from service_kit.auth import require_role
from service_kit.errors import SECURITY_HEADERS
from service_kit.tokens import AccessClaims

Authenticate = Callable[[web.Request], Awaitable[AccessClaims]]
"""Returns the claims of the request's access token, or refuses it."""

PUBLIC_MAX_AGE: Final = 60
"""Seconds a cache may keep what everybody may read."""

_TEXT: Final[dict[str, str]] = {
    hdrs.CONTENT_TYPE: "text/plain; charset=utf-8",
    **SECURITY_HEADERS,
}


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
    body = resource.text.encode()
    etag = hashlib.sha256(body).hexdigest()[:32]
    caching: dict[str, str] = {
        hdrs.ETAG: f'"{etag}"',
        hdrs.CACHE_CONTROL: f"public, max-age={PUBLIC_MAX_AGE}",
    }

    served: dict[str, str] = {**_TEXT, **caching}

    async def handler(request: web.Request) -> web.Response:
        known = request.if_none_match or ()
        if any(each.value in {etag, "*"} for each in known):
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=caching)
        return web.Response(body=body, headers=served)

    return handler


def _protected(
    resource: Resource, authenticate: Authenticate, role: str | None
) -> Handler:
    """Serve it to who has a valid access token, and the role if one is needed."""
    body = resource.text.encode()
    headers: CIMultiDict[str] = CIMultiDict(_TEXT)
    headers[hdrs.CACHE_CONTROL] = "no-store"

    async def handler(request: web.Request) -> web.Response:
        claims = await authenticate(request)
        if role is not None:
            require_role(claims, role)
        return web.Response(body=body, headers=headers.copy())

    return handler
