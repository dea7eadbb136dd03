"""Sign up, and manage one's own user."""

from aiohttp import web

from identity_service.domain.emails import EmailAddress
from identity_service.domain.usernames import Username
from identity_service.handlers.context import RequestContext
from identity_service.handlers.payloads import (
    FreshCheckPayload,
    PasswordPayload,
    ProfilePayload,
    SignUpPayload,
    json_response,
    message_response,
    read_payload,
    user_members,
)
from identity_service.usecases.sign_up import SignUp
from identity_service.usecases.users import UserChanges


async def sign_up(request: web.Request) -> web.Response:
    """POST /api/auth/signup."""
    context = RequestContext(request)
    context.transport.refuse_foreign(context.page)
    payload = await read_payload(request, SignUpPayload, form=True)
    wanted = SignUp(
        username=payload.username,
        email=payload.email,
        password=payload.password,
        roles=payload.roles,
    )
    await context.services.sign_ups.sign_up(wanted, context.device)
    return message_response("User registered successfully!")


async def show(request: web.Request) -> web.Response:
    """GET /api/users/me."""
    context = RequestContext(request)
    caller = await context.caller()
    return json_response(user_members(await context.services.users.get(caller.user_id)))


async def change(request: web.Request) -> web.Response:
    """PATCH /api/users/me."""
    context = RequestContext(request)
    caller = await context.caller()
    changes = profile_changes(await read_payload(request, ProfilePayload))
    if changes.email is not None:
        context.require_fresh(caller)
    user = await context.services.users.change(caller.user_id, changes, caller)
    return json_response(user_members(user))


async def change_password(request: web.Request) -> web.Response:
    """POST /api/users/me/password."""
    context = RequestContext(request)
    caller = await context.caller()
    payload = await read_payload(request, PasswordPayload)
    await context.services.passwords.change(caller, payload.present, payload.new)
    return message_response("Password changed.")


async def check_afresh(request: web.Request) -> web.Response:
    """POST /api/users/me/fresh."""
    context = RequestContext(request)
    caller = await context.caller()
    payload = await read_payload(request, FreshCheckPayload)
    await context.services.fresh_checks.by_password(caller, payload.password)
    return message_response("Thank you. Go on.")


def profile_changes(
    payload: ProfilePayload, *, disabled: bool | None = None
) -> UserChanges:
    """Return the changes that are asked for, or raise `InvalidFieldError`."""
    return UserChanges(
        username=None if payload.username is None else Username.parse(payload.username),
        email=None if payload.email is None else EmailAddress.parse(payload.email),
        disabled=disabled,
    )
