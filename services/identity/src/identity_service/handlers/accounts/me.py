"""Sign up, and manage one's own user."""

from aiohttp import web

from identity_service.domain.accounts.emails import EmailAddress
from identity_service.domain.accounts.usernames import Username
from identity_service.domain.errors import all_faults
from identity_service.domain.fields import noted
from identity_service.domain.sessions.sessions import Caller
from identity_service.handlers.context import RequestContext
from identity_service.handlers.field_errors import fields_called
from identity_service.handlers.operations import operation
from identity_service.handlers.payloads import (
    PasswordPayload,
    ProfilePayload,
    SignUpPayload,
)
from identity_service.handlers.responses import (
    MessageBody,
    UserBody,
    json_response,
    message_response,
)
from identity_service.usecases.sign_up import SignUp
from identity_service.usecases.users import UserChanges
from service_kit.operations import ANYBODY, USERS
from service_kit.problems import accounts, common
from service_kit.requests.bodies import JSON_OR_FORM


@operation(
    "POST",
    "/api/auth/signup",
    access=ANYBODY,
    ignores_unknown_parameters=True,
    body=SignUpPayload,
    body_types=JSON_OR_FORM,
    returns=MessageBody,
    problems=(
        accounts.USERNAME_TAKEN,
        accounts.EMAIL_TAKEN,
        accounts.UNKNOWN_ROLE,
        accounts.ROLE_NOT_SELF_ASSIGNABLE,
        common.CROSS_SITE_REQUEST,
        accounts.TOO_MANY_ATTEMPTS,
        accounts.BUSY,
    ),
)
async def sign_up(context: RequestContext) -> web.Response:
    """Create an account."""
    context.transport.refuse_foreign(context.page)
    payload = await context.read(SignUpPayload, form=True)
    wanted = SignUp(
        username=payload.username,
        email=payload.email,
        password=payload.password,
        roles=payload.roles,
    )
    await context.services.sign_ups.sign_up(wanted, context.device)
    return message_response("User registered successfully!")


@operation("GET", "/api/users/me", access=USERS, returns=UserBody)
async def show_me(context: RequestContext, caller: Caller) -> web.Response:
    """Show the caller's account."""
    return json_response(UserBody.of(await context.services.users.get(caller.user_id)))


@operation(
    "PATCH",
    "/api/users/me",
    access=USERS,
    body=ProfilePayload,
    returns=UserBody,
    problems=(
        accounts.USERNAME_TAKEN,
        accounts.EMAIL_TAKEN,
        accounts.EMAIL_UNCONFIRMED,
        accounts.FRESH_CHECK_REQUIRED,
        accounts.TOO_MANY_ATTEMPTS,
    ),
)
async def change_me(context: RequestContext, caller: Caller) -> web.Response:
    """Change the caller's username or e-mail address.

    A new address needs a fresh check. Where addresses are verified, it is changed at
    `/api/users/me/email`.
    """
    users = context.services.users
    wanted = profile_changes(await context.read(ProfilePayload))
    changes = wanted.to(await users.get(caller.user_id))
    if changes.email is not None:
        context.require_fresh(caller)
        context.services.accounts.email_changes.refuse_unconfirmed()
    user = await users.change(caller.user_id, changes, caller)
    return json_response(UserBody.of(user))


@operation(
    "POST",
    "/api/users/me/password",
    access=USERS,
    body=PasswordPayload,
    returns=MessageBody,
    problems=(accounts.WRONG_PASSWORD, accounts.TOO_MANY_ATTEMPTS, accounts.BUSY),
)
async def change_password(context: RequestContext, caller: Caller) -> web.Response:
    """Change the caller's password, and end their other sessions."""
    payload = await context.read(PasswordPayload)
    with fields_called({"password": "newPassword"}):
        await context.services.passwords.change(caller, payload.present, payload.new)
    return message_response("Password changed.")


def profile_changes(
    payload: ProfilePayload, *, disabled: bool | None = None
) -> UserChanges:
    """Return the changes that are asked for, or raise `InvalidFieldsError`."""
    username, email = None, None
    with all_faults() as faults:
        if payload.username is not None:
            with noted(faults):
                username = Username.parse(payload.username)
        if payload.email is not None:
            with noted(faults):
                email = EmailAddress.parse(payload.email)
    return UserChanges(username=username, email=email, disabled=disabled)
