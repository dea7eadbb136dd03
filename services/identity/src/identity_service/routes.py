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

USER: Final = r"/api/users/{user_id:\d+}"
STATUS_LIST: Final = "/api/auth/statuslists/{list_id:[1-9][0-9]{0,8}}"

ROUTES: Final[tuple[web.RouteDef, ...]] = (
    web.post("/api/auth/signup", me.sign_up),
    web.post("/api/auth/signin", sessions.sign_in),
    web.post("/api/auth/refreshtoken", sessions.refresh),
    web.post("/api/auth/signout", sessions.sign_out),
    web.get("/api/users/me", me.show),
    web.patch("/api/users/me", me.change),
    web.post("/api/users/me/password", me.change_password),
    web.get("/api/users/me/sessions", sessions.show_all),
    web.delete("/api/users/me/sessions", sessions.end_others),
    web.delete("/api/users/me/sessions/{session_id}", sessions.end_one),
    web.get("/api/users", users.show_page),
    web.get(USER, users.show),
    web.patch(USER, users.change),
    web.delete(USER, users.delete),
    web.put(f"{USER}/roles", users.set_roles),
    web.delete(f"{USER}/sessions", users.end_sessions),
    web.get("/api/roles", roles.show_all),
    web.post("/api/roles", roles.add),
    web.delete("/api/roles/{name}", roles.remove),
    web.get("/api/audit", audit.show_page),
    web.get("/api/auth/statuslists", status_lists.show_all),
    web.get(STATUS_LIST, status_lists.show),
    web.get("/.well-known/jwks.json", keys.show),
    web.get("/.well-known/openid-configuration", metadata.show),
    web.get("/.well-known/oauth-authorization-server", metadata.show),
    web.post("/oauth2/introspect", oauth.introspect),
    web.post("/oauth2/revoke", oauth.revoke),
)
