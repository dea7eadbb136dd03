"""The handler of each route."""

from typing import Final

from aiohttp import web

from identity_service.handlers import (
    audit,
    keys,
    me,
    metadata,
    oauth,
    roles,
    sessions,
    status_lists,
    users,
)
from identity_service.handlers.queries import without_parameters

USER: Final = r"/api/users/{user_id:\d+}"
STATUS_LIST: Final = "/api/auth/statuslists/{name:[A-Za-z0-9_-]{1,22}}"

ROUTES: Final[tuple[web.RouteDef, ...]] = (
    web.post("/api/auth/signup", me.sign_up),
    web.post("/api/auth/signin", sessions.sign_in),
    web.post("/api/auth/refreshtoken", sessions.refresh),
    web.post("/api/auth/signout", sessions.sign_out),
    web.get("/api/users/me", without_parameters(me.show)),
    web.patch("/api/users/me", without_parameters(me.change)),
    web.post("/api/users/me/password", without_parameters(me.change_password)),
    web.post("/api/users/me/fresh", without_parameters(me.check_afresh)),
    web.get("/api/users/me/sessions", without_parameters(sessions.show_all)),
    web.delete("/api/users/me/sessions", without_parameters(sessions.end_others)),
    web.delete(
        "/api/users/me/sessions/{session_id}", without_parameters(sessions.end_one)
    ),
    web.get("/api/users", users.show_page),
    web.get(USER, without_parameters(users.show)),
    web.patch(USER, without_parameters(users.change)),
    web.delete(USER, without_parameters(users.delete)),
    web.put(f"{USER}/roles", without_parameters(users.set_roles)),
    web.delete(f"{USER}/sessions", without_parameters(users.end_sessions)),
    web.get("/api/roles", without_parameters(roles.show_all)),
    web.post("/api/roles", without_parameters(roles.add)),
    web.delete("/api/roles/{name}", without_parameters(roles.remove)),
    web.get("/api/audit", audit.show_page),
    web.get("/api/auth/statuslists", status_lists.show_all),
    web.get(STATUS_LIST, status_lists.show),
    web.get("/.well-known/jwks.json", keys.show),
    web.get("/.well-known/openid-configuration", metadata.show),
    web.get("/.well-known/oauth-authorization-server", metadata.show),
    web.post("/oauth2/introspect", oauth.introspect),
    web.post("/oauth2/revoke", oauth.revoke),
)
