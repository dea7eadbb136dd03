"""The bodies of requests."""

import re
from collections.abc import Mapping
from typing import Final, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from identity_service.handlers.field_errors import invalid_members
from identity_service.handlers.schemas import (
    ClientText,
    CodeText,
    DescriptionText,
    EmailText,
    MailedTokenText,
    PasswordText,
    RefreshTokenText,
    RoleNameText,
    Roles,
    TokenText,
    TokenTypeText,
    UsernameText,
)
from service_kit.problems import ProblemError
from service_kit.requests.bodies import FORM, read_members

P = TypeVar("P", bound=BaseModel)

_ROLES_OF_FORM: Final = re.compile(r"roles(?:\[[0-9]*\])?", re.ASCII)
"""A list in a form: the name repeated, or `roles[]`, or `roles[0]`, as clients and the
tutorial's server write and read it."""


class Payload(BaseModel):
    """A request's body. Members that it does not name are refused, types are strict."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        defer_build=True,
    )


class SignUpPayload(Payload, extra="ignore"):
    """POST /api/auth/signup. The tutorial's server ignores members it does not know."""

    username: UsernameText
    email: EmailText
    password: PasswordText = Field(repr=False)
    roles: Roles | None = None
    """Roles that users may assign to themselves; without it, `user`."""


class SignInPayload(Payload, extra="ignore"):
    """POST /api/auth/signin. The tutorial's server ignores members it does not know."""

    username: UsernameText
    password: PasswordText = Field(repr=False)


class RefreshTokenPayload(Payload, extra="ignore"):
    """POST /api/auth/refreshtoken, and signout: a cookie may hold the token instead."""

    refresh_token: RefreshTokenText | None = Field(default=None, alias="refreshToken")
    """Unless a cookie holds it."""


class ProfilePayload(Payload):
    """PATCH /api/users/me."""

    username: UsernameText | None = None
    email: EmailText | None = None


class UserPayload(ProfilePayload):
    """PATCH /api/users/{id}."""

    disabled: bool | None = None


class NewUserPayload(Payload):
    """POST /api/users."""

    username: UsernameText
    email: EmailText
    roles: Roles | None = None
    """Without it, `user`."""
    invite: bool = False
    """Whether to mail a link to choose a password; else the response has a temporary
    one."""


class PasswordPayload(Payload):
    """POST /api/users/me/password."""

    present: PasswordText = Field(alias="currentPassword", repr=False)
    new: PasswordText = Field(alias="newPassword", repr=False)


class EmailPayload(Payload):
    """POST /api/auth/password-reset, and whatever else sends mail to an address."""

    email: EmailText


class MailedTokenPayload(Payload):
    """POST /api/auth/email-verification, email-change/confirm and /undo."""

    token: MailedTokenText = Field(repr=False)
    """Of the link in the mail."""


class SignInCodePayload(Payload):
    """POST /api/auth/signin/code/confirm."""

    email: EmailText
    code: CodeText = Field(repr=False)


class NewPasswordPayload(Payload):
    """POST /api/auth/password-reset/confirm."""

    token: MailedTokenText = Field(repr=False)
    """Of the link in the mail."""
    password: PasswordText = Field(repr=False)


class RolePayload(Payload):
    """POST /api/roles."""

    name: RoleNameText
    description: DescriptionText


class RolesPayload(Payload):
    """PUT /api/users/{id}/roles."""

    roles: Roles
    """All that the user is to have, with or without `ROLE_`."""


class TokenPayload(Payload, extra="ignore"):
    """POST /oauth2/revoke (RFC 7009), which ignores parameters it does not know."""

    token: TokenText
    token_type_hint: TokenTypeText | None = None


class IntrospectionPayload(TokenPayload):
    """POST /oauth2/introspect (RFC 7662); a client may authenticate in it."""

    client_id: ClientText | None = None
    client_secret: ClientText | None = Field(default=None, repr=False)


async def read_payload(
    request: web.Request, model: type[P], *, form: bool = False
) -> P:
    """Return the request's body as what it should be, or raise a `ProblemError`.

    ``form`` allows a form in place of JSON.
    """
    members = await read_members(request, form=form)
    if form and request.content_type == FORM:
        members["roles"] = _roles_of_form(members)
    try:
        return model.model_validate(members)
    except ValidationError as error:
        raise ProblemError(invalid_members(error)) from None


def _roles_of_form(members: Mapping[str, object]) -> list[object]:
    """Return the roles that a form names; an empty field names none."""
    roles: list[object] = []
    for name, value in members.items():
        if _ROLES_OF_FORM.fullmatch(name):
            roles.extend(value if isinstance(value, list) else [value])
    return [role for role in roles if role]
