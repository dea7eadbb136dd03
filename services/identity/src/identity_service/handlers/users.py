"""Users, as administrators see them."""

from aiohttp import web

from identity_service.domain.errors import UserNotFoundError
from identity_service.handlers.context import RequestContext
from identity_service.handlers.me import profile_changes
from identity_service.handlers.payloads import (
    RolesPayload,
    UserPayload,
    json_response,
    message_response,
    read_payload,
    user_members,
)
from identity_service.handlers.queries import MAX_DIGITS, Query


async def show_page(request: web.Request) -> web.Response:
    """GET /api/users?search=…&limit=…&cursor=…."""
    context = RequestContext(request)
    await context.admin()
    query = Query(request, "search", "limit", "cursor")
    limit = query.limit()
    found = await context.services.users.page(
        query.text("search") or "", query.whole_number("cursor") or 0, limit + 1
    )
    shown = found[:limit]
    return json_response(
        {
            "users": [user_members(user) for user in shown],
            "nextCursor": str(shown[-1].id) if len(found) > limit else None,
        }
    )


async def show(request: web.Request) -> web.Response:
    """GET /api/users/{id}."""
    context = RequestContext(request)
    await context.admin()
    return json_response(
        user_members(await context.services.users.get(_user_id(request)))
    )


async def change(request: web.Request) -> web.Response:
    """PATCH /api/users/{id}."""
    context = RequestContext(request)
    admin = await context.admin()
    payload = await read_payload(request, UserPayload)
    changes = profile_changes(payload, disabled=payload.disabled)
    if changes.email is not None:
        context.require_fresh(admin)
    user = await context.services.users.change(_user_id(request), changes, admin)
    return json_response(user_members(user))


async def delete(request: web.Request) -> web.Response:
    """DELETE /api/users/{id}."""
    context = RequestContext(request)
    admin = await context.admin()
    context.require_fresh(admin)
    await context.services.users.delete(_user_id(request), admin)
    return message_response("Account deleted.")


async def set_roles(request: web.Request) -> web.Response:
    """PUT /api/users/{id}/roles."""
    context = RequestContext(request)
    admin = await context.admin()
    context.require_fresh(admin)
    payload = await read_payload(request, RolesPayload)
    names = (name.removeprefix("ROLE_").lower() for name in payload.roles)
    user = await context.services.users.set_roles(_user_id(request), names, admin)
    return json_response(user_members(user))


async def end_sessions(request: web.Request) -> web.Response:
    """DELETE /api/users/{id}/sessions."""
    context = RequestContext(request)
    admin = await context.admin()
    ended = await context.services.users.end_sessions(_user_id(request), admin)
    return json_response({"message": "Sessions ended.", "ended": ended})


def _user_id(request: web.Request) -> int:
    untrusted_id = request.match_info["user_id"]
    if len(untrusted_id) > MAX_DIGITS:
        raise UserNotFoundError
    return int(untrusted_id)
