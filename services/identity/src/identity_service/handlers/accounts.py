"""Signing up, and one's own account."""

from aiohttp import web

from identity_service.app_keys import ACCOUNTS, USERS
from identity_service.domain.users import EmailAddress, Username
from identity_service.handlers.callers import caller, device
from identity_service.handlers.payloads import (
    PasswordPayload,
    ProfilePayload,
    SignUpPayload,
    account_members,
    answer,
    read_payload,
    told,
)
from identity_service.usecases.accounts import SignUp
from identity_service.usecases.users import AccountChanges


async def sign_up(request: web.Request) -> web.Response:
    """POST /api/auth/signup."""
    payload = await read_payload(request, SignUpPayload, form=True)
    wanted = SignUp(
        username=payload.username,
        email=payload.email,
        password=payload.password,
        roles=payload.roles,
    )
    await request.app[ACCOUNTS].sign_up(wanted, device(request))
    return told("User registered successfully!")


async def show(request: web.Request) -> web.Response:
    """GET /api/users/me."""
    who = await caller(request)
    return answer(account_members(await request.app[ACCOUNTS].get(who.user_id)))


async def change(request: web.Request) -> web.Response:
    """PATCH /api/users/me."""
    who = await caller(request)
    payload = await read_payload(request, ProfilePayload)
    account = await request.app[USERS].change(
        who.user_id, profile_changes(payload), who.actor
    )
    return answer(account_members(account))


async def change_password(request: web.Request) -> web.Response:
    """POST /api/users/me/password."""
    who = await caller(request)
    payload = await read_payload(request, PasswordPayload)
    await request.app[ACCOUNTS].change_password(
        who.user_id,
        payload.present,
        payload.new,
        session_id=who.session_id,
        device=who.device,
    )
    return told("Password changed.")


def profile_changes(
    payload: ProfilePayload, *, disabled: bool | None = None
) -> AccountChanges:
    """Return the changes that are asked for, or raise `InvalidFieldError`."""
    return AccountChanges(
        username=None if payload.username is None else Username.parse(payload.username),
        email=None if payload.email is None else EmailAddress.parse(payload.email),
        disabled=disabled,
    )
