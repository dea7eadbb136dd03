"""Users, as administrators see them."""

from http import HTTPStatus

from aiohttp import hdrs, web

from identity_service.domain.accounts.emails import EmailAddress
from identity_service.domain.accounts.usernames import Username
from identity_service.domain.errors import all_faults
from identity_service.domain.fields import noted
from identity_service.domain.sessions.sessions import Caller
from identity_service.handlers.accounts.me import profile_changes
from identity_service.handlers.context import RequestContext
from identity_service.handlers.operations import ADMINS, USER, USER_ID, operation
from identity_service.handlers.payloads import NewUserPayload, RolesPayload, UserPayload
from identity_service.handlers.queries import UsersQuery
from identity_service.handlers.responses import (
    CreatedUserBody,
    EndedBody,
    MessageBody,
    UserBody,
    UserPage,
    created_response,
    json_response,
    message_response,
)
from identity_service.usecases.accounts.invitations import WantedUser
from service_kit.operations import Reply
from service_kit.problems import accounts


@operation("GET", "/api/users", access=ADMINS, query=UsersQuery, returns=UserPage)
async def list_users(context: RequestContext, _: Caller) -> web.Response:
    """List users in order of id, or find them by words of names and addresses.

    `search` is the beginning of a word, with or without accents, in any case.
    """
    query = context.read_query(UsersQuery)
    found = await context.services.users.page(
        query.search, query.cursor or 0, query.limit + 1
    )
    shown = found[: query.limit]
    return json_response(
        UserPage(
            users=[UserBody.of(user) for user in shown],
            next_cursor=str(shown[-1].id) if len(found) > query.limit else None,
        )
    )


@operation(
    "POST",
    "/api/users",
    access=ADMINS,
    fresh=True,
    body=NewUserPayload,
    returns=Reply(CreatedUserBody, HTTPStatus.CREATED, headers=(hdrs.LOCATION,)),
    problems=(
        accounts.USERNAME_TAKEN,
        accounts.EMAIL_TAKEN,
        accounts.UNKNOWN_ROLE,
        accounts.NOT_OFFERED,
        accounts.BUSY,
    ),
)
async def create_user(context: RequestContext, admin: Caller) -> web.Response:
    """Create a user, who is invited by mail or gets a temporary password.

    The invitation is valid for 7 days.
    """
    payload = await context.read(NewUserPayload)
    wanted = _wanted_user(payload)
    invitations = context.services.accounts.invitations
    members: dict[str, str] = {}
    if payload.invite:
        user = await invitations.invite(wanted, admin)
    else:
        user, members["temporary_password"] = await invitations.create(wanted, admin)
    body = CreatedUserBody(**UserBody.of(user).model_dump(), **members)
    return created_response(body, context.location(f"/api/users/{user.id}"))


@operation(
    "GET",
    USER,
    access=ADMINS,
    path_parameters=USER_ID,
    returns=UserBody,
    problems=(accounts.ACCOUNT_NOT_FOUND,),
)
async def show_user(context: RequestContext, _: Caller) -> web.Response:
    """Show a user."""
    user = await context.services.users.get(context.user_id)
    return json_response(UserBody.of(user))


@operation(
    "PATCH",
    USER,
    access=ADMINS,
    path_parameters=USER_ID,
    body=UserPayload,
    returns=UserBody,
    problems=(
        accounts.ACCOUNT_NOT_FOUND,
        accounts.USERNAME_TAKEN,
        accounts.EMAIL_TAKEN,
        accounts.LAST_ADMIN,
        accounts.FRESH_CHECK_REQUIRED,
        accounts.TOO_MANY_ATTEMPTS,
    ),
)
async def change_user(context: RequestContext, admin: Caller) -> web.Response:
    """Change a user's name or e-mail address, or disable the account.

    A new address needs a fresh check.
    """
    payload = await context.read(UserPayload)
    changes = profile_changes(payload, disabled=payload.disabled)
    if changes.email is not None:
        context.require_fresh(admin)
    user = await context.services.users.change(context.user_id, changes, admin)
    return json_response(UserBody.of(user))


@operation(
    "DELETE",
    USER,
    access=ADMINS,
    fresh=True,
    path_parameters=USER_ID,
    returns=MessageBody,
    problems=(accounts.ACCOUNT_NOT_FOUND, accounts.LAST_ADMIN),
)
async def delete_user(context: RequestContext, admin: Caller) -> web.Response:
    """Delete a user."""
    await context.services.users.delete(context.user_id, admin)
    return message_response("Account deleted.")


@operation(
    "PUT",
    f"{USER}/roles",
    access=ADMINS,
    fresh=True,
    path_parameters=USER_ID,
    body=RolesPayload,
    returns=UserBody,
    problems=(accounts.ACCOUNT_NOT_FOUND, accounts.UNKNOWN_ROLE, accounts.LAST_ADMIN),
)
async def set_roles(context: RequestContext, admin: Caller) -> web.Response:
    """Give a user these roles and no others.

    Of two administrators who change them, the last one wins.
    """
    payload = await context.read(RolesPayload)
    names = map(role_name, payload.roles)
    user = await context.services.users.set_roles(context.user_id, names, admin)
    return json_response(UserBody.of(user))


@operation(
    "DELETE",
    f"{USER}/sessions",
    access=ADMINS,
    path_parameters=USER_ID,
    returns=EndedBody,
    problems=(accounts.ACCOUNT_NOT_FOUND,),
)
async def end_sessions(context: RequestContext, admin: Caller) -> web.Response:
    """End every session of a user."""
    ended = await context.services.users.end_sessions(context.user_id, admin)
    return message_response(EndedBody(message="Sessions ended.", ended=ended))


def _wanted_user(payload: NewUserPayload) -> WantedUser:
    """Return whom to make, or raise `InvalidFieldsError`."""
    with all_faults() as faults:
        with noted(faults):
            username = Username.parse(payload.username)
        with noted(faults):
            email = EmailAddress.parse(payload.email)
    roles = [role_name(each) for each in payload.roles or ()]
    return WantedUser(username=username, email=email, roles=roles)


def role_name(in_request: str) -> str:
    """Return the name of a role that a request calls so or ``ROLE_…``."""
    return in_request.removeprefix("ROLE_").lower()
