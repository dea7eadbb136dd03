"""Signing in and out, refreshing, and the list of one's sessions."""

from aiohttp import web

from identity_service.domain.errors import NoRefreshTokenError, UnknownRefreshTokenError
from identity_service.handlers.context import RequestContext
from identity_service.handlers.payloads import (
    SignInPayload,
    json_response,
    message_response,
    read_payload,
    role_names,
    session_members,
)
from identity_service.security.csrf import Page
from service_kit.bodies import read_members
from service_kit.problems import ProblemError


async def sign_in(request: web.Request) -> web.Response:
    """POST /api/auth/signin."""
    context = RequestContext(request)
    transport = context.transport.to_page(context.page)
    payload = await read_payload(request, SignInPayload, form=True)
    user, pair = await context.services.sign_ins.sign_in(
        payload.username, payload.password, context.device
    )
    members: dict[str, object] = {
        "id": user.id,
        "username": user.username,
        "email": user.email,
        "roles": role_names(user.effective_roles),
    }
    if user.password_is_temporary:
        members["passwordChangeRequired"] = True
    return transport.respond(members, pair)


async def refresh(request: web.Request) -> web.Response:
    """POST /api/auth/refreshtoken."""
    context = RequestContext(request)
    transport = context.transport
    match (await read_members(request, form=True)).get("refreshToken"):
        case None | "":
            untrusted_tokens = transport.read_refresh_tokens(request)
            if not untrusted_tokens:
                context.note_missing_cookies(transport)
                raise NoRefreshTokenError
            context.require_own_page()
        case str(in_body):
            untrusted_tokens = (in_body,)
        case _:
            raise UnknownRefreshTokenError
    transport = transport.to_page(context.page)
    refreshes = context.services.refreshes
    pair = await refreshes.refresh_one(untrusted_tokens, context.device)
    return transport.respond({}, pair)


async def sign_out(request: web.Request) -> web.Response:
    """POST /api/auth/signout."""
    context = RequestContext(request)
    transport = context.transport
    is_own_page = context.page is Page.OURS
    in_body = await _refresh_token_in_body(request)
    untrusted_tokens: tuple[str, ...] = () if in_body is None else (in_body,)
    if not untrusted_tokens and is_own_page:
        untrusted_tokens = transport.read_refresh_tokens(request)
    caller = await context.caller_or_none()
    await context.services.sessions.sign_out(
        untrusted_tokens, caller.session_id if caller else None, context.device
    )
    response = message_response("You've been signed out!")
    if is_own_page:
        transport.clear_cookies(response)
    return response


async def _refresh_token_in_body(request: web.Request) -> str | None:
    """Return the refresh token that a body holds; any other body is as good as none."""
    try:
        token = (await read_members(request, form=True)).get("refreshToken")
    except (ProblemError, web.HTTPException):
        return None
    return token if isinstance(token, str) and token else None


async def show_all(request: web.Request) -> web.Response:
    """GET /api/users/me/sessions."""
    context = RequestContext(request)
    caller = await context.caller()
    live = await context.services.sessions.live(caller.user_id)
    return json_response(
        {
            "sessions": [
                session_members(session, current=session.id == caller.session_id)
                for session in live
            ]
        }
    )


async def end_one(request: web.Request) -> web.Response:
    """DELETE /api/users/me/sessions/{id}."""
    context = RequestContext(request)
    caller = await context.caller()
    await context.services.sessions.end_one(caller, request.match_info["session_id"])
    return message_response("Session ended.")


async def end_others(request: web.Request) -> web.Response:
    """DELETE /api/users/me/sessions: all but the one that asks."""
    context = RequestContext(request)
    caller = await context.caller()
    ended = await context.services.sessions.end_others(caller)
    return json_response({"message": "Other sessions ended.", "ended": ended})
