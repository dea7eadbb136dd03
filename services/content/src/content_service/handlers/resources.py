"""Serve the fixed texts."""

import hashlib
from http import HTTPStatus
from typing import Final

from aiohttp import ETag, hdrs, web
from aiohttp.typedefs import Handler
from multidict import CIMultiDict, CIMultiDictProxy

from content_service.domain.resources import RESOURCES, Resource
from service_kit.auth import protected
from service_kit.operations import (
    ANYBODY,
    TEXT,
    USERS,
    Operation,
    Reply,
    Tag,
    users_with,
)

PUBLIC_MAX_AGE: Final = 60
"""Seconds for which a cache may reuse public texts."""

_ANY: Final = "*"


def _public(resource: Resource) -> Handler:
    """Return a handler that serves the text to any client and any cache.

    An access token is ignored, valid or not.
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
        return web.Response(body=body, headers={hdrs.CONTENT_TYPE: TEXT, **caching})

    return show


def _protected(resource: Resource) -> Handler:
    """Return a handler that serves the text to callers who may read it."""
    body = resource.text.encode()
    headers = CIMultiDictProxy(CIMultiDict({hdrs.CONTENT_TYPE: TEXT}))

    @protected(role=resource.role)
    async def show(_: web.Request) -> web.Response:
        return web.Response(body=body, headers=headers)

    return show


def _handler(resource: Resource) -> Handler:
    return _public(resource) if resource.public else _protected(resource)


def _operation(resource: Resource) -> Operation:
    """Return how a text is served, for the API's document as well."""
    if resource.public:
        access = ANYBODY
    else:
        access = USERS if resource.role is None else users_with(resource.role)
    return Operation(
        name=f"read_{resource.path.rpartition('/')[2]}",
        method=hdrs.METH_GET,
        path=resource.path,
        handler=_handler(resource),
        summary=f"Read “{resource.text}”",
        tag=Tag.CONTENT,
        access=access,
        ignores_unknown_parameters=True,
        replies=_replies(resource),
    )


def _replies(resource: Resource) -> tuple[Reply, ...]:
    if not resource.public:
        return (Reply(media_type=TEXT, example=resource.text),)
    headers = (hdrs.ETAG, hdrs.CACHE_CONTROL)
    return (
        Reply(media_type=TEXT, example=resource.text, headers=headers),
        Reply(status=HTTPStatus.NOT_MODIFIED, media_type=None, headers=headers),
    )


OPERATIONS: Final = tuple(_operation(each) for each in RESOURCES)
