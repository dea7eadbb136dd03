"""The roles there are."""

from aiohttp import web

from identity_service.app_keys import USERS
from identity_service.handlers.callers import admin
from identity_service.handlers.payloads import answer, role_names


async def show_all(request: web.Request) -> web.Response:
    """GET /api/roles."""
    await admin(request)
    roles = await request.app[USERS].roles()
    return answer({"roles": role_names(frozenset(roles))})
