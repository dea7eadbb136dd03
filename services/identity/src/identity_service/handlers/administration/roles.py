"""The roles there are."""

from http import HTTPStatus

from aiohttp import hdrs, web

from identity_service.domain.accounts.roles import Role
from identity_service.domain.sessions.sessions import Caller
from identity_service.handlers.context import RequestContext
from identity_service.handlers.operations import ADMINS, operation
from identity_service.handlers.payloads import RolePayload
from identity_service.handlers.responses import (
    MessageBody,
    RoleBody,
    RolesBody,
    created_response,
    json_response,
    message_response,
    role_names,
)
from service_kit.operations import PathParameter, Reply
from service_kit.problems import accounts


@operation("GET", "/api/roles", access=ADMINS, returns=RolesBody)
async def list_roles(context: RequestContext, _: Caller) -> web.Response:
    """List the roles."""
    roles = await context.services.roles.all()
    return json_response(
        RolesBody(
            roles=role_names(role.name for role in roles),
            details=[RoleBody.model_validate(role) for role in roles],
        )
    )


@operation(
    "POST",
    "/api/roles",
    access=ADMINS,
    body=RolePayload,
    returns=Reply(RoleBody, HTTPStatus.CREATED, headers=(hdrs.LOCATION,)),
    problems=(accounts.ROLE_EXISTS, accounts.TOO_MANY_ROLES),
)
async def add_role(context: RequestContext, admin: Caller) -> web.Response:
    """Add a role."""
    payload = await context.read(RolePayload)
    role = Role.parse(payload.name, payload.description)
    await context.services.roles.add(role, admin)
    return created_response(
        RoleBody.model_validate(role), context.location(f"/api/roles/{role.name}")
    )


@operation(
    "DELETE",
    "/api/roles/{name}",
    access=ADMINS,
    path_parameters={"name": PathParameter("The role's name.", "editor")},
    returns=MessageBody,
    problems=(accounts.ROLE_NOT_FOUND, accounts.ROLE_IN_USE, accounts.ROLE_NEEDED),
)
async def remove_role(context: RequestContext, admin: Caller) -> web.Response:
    """Remove a role that nobody has."""
    await context.services.roles.remove(context.request.match_info["name"], admin)
    return message_response("Role removed.")
