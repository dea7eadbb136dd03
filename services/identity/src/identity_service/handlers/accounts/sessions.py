"""Signing in and out, refreshing, and the list of one's sessions."""

from aiohttp import web

from identity_service.domain.accounts.users import User
from identity_service.domain.errors import NoRefreshTokenError, UnknownRefreshTokenError
from identity_service.domain.sessions.sessions import Caller
from identity_service.handlers.context import RequestContext
from identity_service.handlers.operations import operation
from identity_service.handlers.payloads import RefreshTokenPayload, SignInPayload
from identity_service.handlers.requests.cookies import TokenTransport
from identity_service.handlers.responses import (
    EndedBody,
    MessageBody,
    SessionBody,
    SessionsBody,
    SignInBody,
    TokenPairBody,
    json_response,
    message_response,
    role_names,
)
from identity_service.usecases.sessions.token_pairs import TokenPair
from service_kit.operations import ANYBODY, USERS, PathParameter
from service_kit.problems import ProblemError, accounts, common
from service_kit.requests.bodies import JSON_OR_FORM, read_members
from service_kit.requests.csrf import Page


@operation(
    "POST",
    "/api/auth/signin",
    access=ANYBODY,
    ignores_unknown_parameters=True,
    body=SignInPayload,
    body_types=JSON_OR_FORM,
    returns=SignInBody,
    problems=(
        accounts.INVALID_CREDENTIALS,
        accounts.SECOND_FACTOR_REQUIRED,
        common.CROSS_SITE_REQUEST,
        accounts.TOO_MANY_ATTEMPTS,
        accounts.BUSY,
    ),
)
async def sign_in(context: RequestContext) -> web.Response:
    """Begin a session, and get a token pair."""
    transport = context.transport.to_page(context.page)
    payload = await context.read(SignInPayload, form=True)
    user, pair = await context.services.passwords.sign_in(
        payload.username, payload.password, context.device
    )
    return signed_in_response(transport, user, pair)


def signed_in_response(
    transport: TokenTransport, user: User, pair: TokenPair
) -> web.Response:
    """Return the response to a sign-in, however it was done."""
    members: dict[str, bool] = {}
    if user.password_is_temporary:
        members["password_change_required"] = True
    elif len(pair.roles) < len(user.roles):
        members["second_factor_enrolment_required"] = True
    return transport.respond(
        SignInBody,
        pair,
        id=user.id,
        username=user.username,
        email=user.email,
        roles=role_names(pair.roles),
        **members,
    )


@operation(
    "POST",
    "/api/auth/refreshtoken",
    access=ANYBODY,
    ignores_unknown_parameters=True,
    body=RefreshTokenPayload,
    body_types=JSON_OR_FORM,
    returns=TokenPairBody,
    problems=(
        accounts.REFRESH_TOKEN_REQUIRED,
        accounts.INVALID_GRANT,
        accounts.REFRESH_TOKEN_EXPIRED,
        common.CROSS_SITE_REQUEST,
        accounts.TOO_MANY_ATTEMPTS,
    ),
)
async def refresh(context: RequestContext) -> web.Response:
    """Get the next token pair of a session."""
    transport = context.transport
    match (await read_members(context.request, form=True)).get("refreshToken"):
        case None | "":
            untrusted_tokens = transport.read_refresh_tokens(context.request)
            if not untrusted_tokens:
                context.note_missing_cookies(transport)
                raise NoRefreshTokenError
            context.require_own_page()
        case str(in_body):
            untrusted_tokens = (in_body,)
        case _:
            raise UnknownRefreshTokenError
    transport = transport.to_page(context.page)
    refreshes = context.services.tokens.refreshes
    pair = await refreshes.refresh(untrusted_tokens, context.device)
    return transport.respond(TokenPairBody, pair)


@operation(
    "POST",
    "/api/auth/signout",
    access=ANYBODY,
    ignores_unknown_parameters=True,
    body=RefreshTokenPayload,
    body_types=JSON_OR_FORM,
    returns=MessageBody,
)
async def sign_out(context: RequestContext) -> web.Response:
    """End every session that the request names, and clear its cookies.

    The response is 200, whatever it names, or 503 while the database is away: then
    nothing has ended.
    """
    transport = context.transport
    is_own_page = context.page is Page.OURS
    untrusted_tokens = await _refresh_tokens_in_body(context.request)
    if is_own_page:  # what is cleared must not live on
        untrusted_tokens += transport.read_refresh_tokens(context.request)
    caller = await context.caller_or_none()
    await context.services.tokens.sessions.sign_out(
        untrusted_tokens, caller.session_id if caller else None, context.device
    )
    response = message_response("You've been signed out!")
    if is_own_page:
        transport.clear_cookies(response)
    return response


async def _refresh_tokens_in_body(request: web.Request) -> tuple[str, ...]:
    """Return the refresh token that a body holds; any other body is as good as none."""
    try:
        token = (await read_members(request, form=True)).get("refreshToken")
    except (ProblemError, web.HTTPException):
        return ()
    return (token,) if isinstance(token, str) and token else ()


@operation("GET", "/api/users/me/sessions", access=USERS, returns=SessionsBody)
async def list_sessions(context: RequestContext, caller: Caller) -> web.Response:
    """List the caller's sessions."""
    live = await context.services.tokens.sessions.live(caller.user_id)
    return json_response(
        SessionsBody(
            sessions=[
                SessionBody.of(session, current=session.id == caller.session_id)
                for session in live
            ]
        )
    )


@operation(
    "DELETE",
    "/api/users/me/sessions/{session_id}",
    access=USERS,
    path_parameters={
        "session_id": PathParameter("The session's id.", "0123456789abcdef" * 2)
    },
    returns=MessageBody,
    problems=(accounts.SESSION_NOT_FOUND,),
)
async def end_session(context: RequestContext, caller: Caller) -> web.Response:
    """End one of the caller's sessions."""
    await context.services.tokens.sessions.end_one(
        caller, context.request.match_info["session_id"]
    )
    return message_response("Session ended.")


@operation("DELETE", "/api/users/me/sessions", access=USERS, returns=EndedBody)
async def end_other_sessions(context: RequestContext, caller: Caller) -> web.Response:
    """End the caller's sessions, except the one that makes the request."""
    ended = await context.services.tokens.sessions.end_others(caller)
    return message_response(EndedBody(message="Other sessions ended.", ended=ended))
