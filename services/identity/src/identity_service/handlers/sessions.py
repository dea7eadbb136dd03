"""Signing in and out, refreshing, and the list of one's sessions."""

from aiohttp import web

from identity_service.app_keys import SESSIONS, TOKEN_TRANSPORT, TRUSTED_PAGES
from identity_service.domain.errors import UnknownRefreshTokenError
from identity_service.handlers.callers import caller, device, session_of
from identity_service.handlers.payloads import (
    SignInPayload,
    answer,
    read_payload,
    role_names,
    session_members,
    told,
)
from service_kit.bodies import read_members
from service_kit.problems import ProblemError


class NoRefreshTokenError(Exception):
    """Neither body nor cookie holds a refresh token."""


async def sign_in(request: web.Request) -> web.Response:
    """POST /api/auth/signin."""
    payload = await read_payload(request, SignInPayload, form=True)
    transport = request.app[TOKEN_TRANSPORT]
    account, pair = await request.app[SESSIONS].sign_in(
        payload.username, payload.password, device(request)
    )
    members: dict[str, object] = {
        "id": account.id,
        "username": account.username,
        "email": account.email,
        "roles": role_names(account.effective_roles),
        **transport.members(pair),
    }
    if account.password_is_temporary:
        members["passwordChangeRequired"] = True
    response = answer(members)
    transport.set_cookies(response, pair)
    return response


async def refresh(request: web.Request) -> web.Response:
    """POST /api/auth/refreshtoken."""
    transport = request.app[TOKEN_TRANSPORT]
    match (await read_members(request, form=True)).get("refreshToken"):
        case None | "":
            untrusted_token = transport.read_refresh_token(request)
            if untrusted_token is None:
                raise NoRefreshTokenError
            request.app[TRUSTED_PAGES].require(request)
        case str(in_body):
            untrusted_token = in_body
        case _:
            raise UnknownRefreshTokenError
    pair = await request.app[SESSIONS].refresh(untrusted_token, device(request))
    response = answer(transport.members(pair))
    transport.set_cookies(response, pair)
    return response


async def sign_out(request: web.Request) -> web.Response:
    """POST /api/auth/signout."""
    transport = request.app[TOKEN_TRANSPORT]
    untrusted_token = await _refresh_token_in_body(request)
    if untrusted_token is None and request.app[TRUSTED_PAGES].made(request):
        untrusted_token = transport.read_refresh_token(request)
    await request.app[SESSIONS].sign_out(
        untrusted_token, await session_of(request), device(request)
    )
    response = told("You've been signed out!")
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
    who = await caller(request)
    live = await request.app[SESSIONS].live(who.user_id)
    return answer(
        {
            "sessions": [
                session_members(session, current=session.id == who.session_id)
                for session in live
            ]
        }
    )


async def end_one(request: web.Request) -> web.Response:
    """DELETE /api/users/me/sessions/{id}."""
    who = await caller(request)
    await request.app[SESSIONS].end_one(
        who.user_id, request.match_info["session_id"], who.device
    )
    return told("Session ended.")


async def end_others(request: web.Request) -> web.Response:
    """DELETE /api/users/me/sessions: all but the one that asks."""
    who = await caller(request)
    ended = await request.app[SESSIONS].end_others(
        who.user_id, who.session_id, who.device
    )
    return answer({"message": "Other sessions ended.", "ended": ended})
