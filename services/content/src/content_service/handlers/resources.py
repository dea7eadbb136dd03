"""Serve the fixed texts."""

import hashlib
from http import HTTPStatus
from typing import Final

from aiohttp import ETag, hdrs, web
from aiohttp.typedefs import Handler
from multidict import CIMultiDict, CIMultiDictProxy

from content_service.domain.resources import RESOURCES, Resource
from service_kit.auth import protected

PUBLIC_MAX_AGE: Final = 60
"""Seconds for which a cache may reuse what everybody may read."""

_TEXT: Final = "text/plain; charset=utf-8"
_ANY: Final = "*"


def _public(resource: Resource) -> Handler:
    """Return a handler that serves the text to anybody and to any cache.

    An access token that comes with the request is ignored, valid or not.
    """
    body = resource.text.encode()
    etag = ETag(hashlib.sha256(body).hexdigest()[:32])
    caching = {
        hdrs.ETAG: f'"{etag.value}"',
        hdrs.CACHE_CONTROL: f"public, max-age={PUBLIC_MAX_AGE}",
    }

    async def show(request: web.Request) -> web.Response:
        known = request.if_none_match or ()
        if any(each.value in {_ANY, etag.value} for each in known):
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=caching)
        return web.Response(body=body, headers={hdrs.CONTENT_TYPE: _TEXT, **caching})

    return show


def _protected(resource: Resource) -> Handler:
    """Return a handler that serves the text to callers who may read it."""
    body = resource.text.encode()
    headers = CIMultiDictProxy(CIMultiDict({hdrs.CONTENT_TYPE: _TEXT}))

    @protected(role=resource.role)
    async def show(_: web.Request) -> web.Response:
        return web.Response(body=body, headers=headers)

    return show


def _handler(resource: Resource) -> Handler:
    return _public(resource) if resource.public else _protected(resource)


routes: Final = [web.get(each.path, _handler(each)) for each in RESOURCES]
