"""The status lists of revoked access tokens, for offline verifiers."""

import json
from typing import Final

from aiohttp import hdrs, web

from identity_service.handlers.context import RequestContext
from identity_service.handlers.operations import operation, published
from identity_service.handlers.queries import StatusListQuery
from identity_service.handlers.requests.conditional import (
    REVALIDATE,
    accepts_gzip,
    conditional_response,
)
from identity_service.handlers.tokens.models import StatusListsBody
from identity_service.handlers.waiting import waited_response
from service_kit.operations import ANYBODY, PathParameter, Tag
from service_kit.problems import ProblemError, accounts, common
from service_kit.tokens.status_list_token import MEDIA_TYPE

STATUS_LIST: Final = "/api/auth/statuslists/{name:[A-Za-z0-9_-]{1,22}}"

_MEDIA_TYPE: Final = f"application/{MEDIA_TYPE}"


@operation(
    "GET",
    STATUS_LIST,
    tag=Tag.TOKENS,
    access=ANYBODY,
    path_parameters={
        "name": PathParameter("The list's name.", "0123456789ABCDEFabcdef")
    },
    query=StatusListQuery,
    returns=published(None, media_type=_MEDIA_TYPE),
    problems=(accounts.HISTORY_NOT_SUPPORTED, common.NOT_FOUND),
)
async def show_status_list(context: RequestContext) -> web.Response:
    """Show a Token Status List (draft-ietf-oauth-status-list section 8)."""
    if "time" in context.request.query:
        raise ProblemError(accounts.HISTORY_NOT_SUPPORTED)
    status_lists = context.services.tokens.status_lists
    name = context.request.match_info["name"]
    is_gzipped = accepts_gzip(context.request)

    async def respond() -> web.Response:
        published = await status_lists.get(name)
        return conditional_response(
            context.request,
            published.gzipped if is_gzipped else published.body,
            media_type=_MEDIA_TYPE,
            cache_control=REVALIDATE,
            content_encoding="gzip" if is_gzipped else None,
            vary=hdrs.ACCEPT_ENCODING,
            version=published.version,
        )

    return await waited_response(
        context.request, await status_lists.watch(name), respond
    )


@operation(
    "GET",
    "/api/auth/statuslists",
    tag=Tag.TOKENS,
    access=ANYBODY,
    returns=published(StatusListsBody),
)
async def list_status_lists(context: RequestContext) -> web.Response:
    """List the status lists (section 9.1)."""
    uris = await context.services.tokens.status_lists.uris()
    return conditional_response(
        context.request,
        json.dumps({"status_lists": uris}).encode(),
        media_type="application/json",
        cache_control=REVALIDATE,
    )
