"""The roles there are."""

from http import HTTPStatus

from aiohttp import hdrs, web

from identity_service.domain.roles import Role
from identity_service.handlers.context import RequestContext
from identity_service.handlers.payloads import (
    RolePayload,
    json_response,
    message_response,
    read_payload,
    role_members,
    role_names,
)


async def show_all(request: web.Request) -> web.Response:
    """GET /api/roles."""
    context = RequestContext(request)
    await context.admin()
    roles = await context.services.roles.all()
    return json_response(
        {
            "roles": role_names(role.name for role in roles),
            "details": [role_members(role) for role in roles],
        }
    )


async def add(request: web.Request) -> web.Response:
    """POST /api/roles."""
    context = RequestContext(request)
    admin = await context.admin()
    payload = await read_payload(request, RolePayload)
    role = Role.parse(payload.name, payload.description)
    await context.services.roles.add(role, admin)
    response = json_response(role_members(role))
    response.set_status(HTTPStatus.CREATED)
    response.headers[hdrs.LOCATION] = f"/api/roles/{role.name}"
    return response


async def remove(request: web.Request) -> web.Response:
    """DELETE /api/roles/{name}."""
    context = RequestContext(request)
    admin = await context.admin()
    await context.services.roles.remove(request.match_info["name"], admin)
    return message_response("Role removed.")
