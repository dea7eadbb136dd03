"""The roles there are."""

from http import HTTPStatus

from aiohttp import hdrs, web

from identity_service.app_keys import ROLES
from identity_service.domain.roles import Role
from identity_service.handlers.callers import admin
from identity_service.handlers.payloads import (
    RolePayload,
    answer,
    read_payload,
    role_members,
    role_names,
    told,
)
from identity_service.handlers.queries import refuse_parameters


async def show_all(request: web.Request) -> web.Response:
    """GET /api/roles."""
    await admin(request)
    refuse_parameters(request)
    roles = await request.app[ROLES].all()
    return answer(
        {
            "roles": role_names(role.name for role in roles),
            "details": [role_members(role) for role in roles],
        }
    )


async def add(request: web.Request) -> web.Response:
    """POST /api/roles."""
    who = await admin(request)
    refuse_parameters(request)
    payload = await read_payload(request, RolePayload)
    role = Role.parse(payload.name, payload.description)
    await request.app[ROLES].add(role, who.actor)
    response = answer(role_members(role))
    response.set_status(HTTPStatus.CREATED)
    response.headers[hdrs.LOCATION] = f"/api/roles/{role.name}"
    return response


async def remove(request: web.Request) -> web.Response:
    """DELETE /api/roles/{name}."""
    who = await admin(request)
    refuse_parameters(request)
    await request.app[ROLES].remove(request.match_info["name"], who.actor)
    return told("Role removed.")
