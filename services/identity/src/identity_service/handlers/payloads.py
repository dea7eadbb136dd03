"""The JSON of requests and responses."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar

from aiohttp import web
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from identity_service.domain.fields import InvalidFieldError
from identity_service.domain.roles import Role, RoleName
from identity_service.domain.sessions import Session
from identity_service.domain.users import User
from service_kit.bodies import FORM, read_members
from service_kit.problems import Problem, ProblemError, accounts

P = TypeVar("P", bound=BaseModel)

_MESSAGES: Final = {
    "missing": ("required", "{name} is required."),
    "string_type": ("not_text", "{name} must be text."),
    "bool_type": ("not_boolean", "{name} must be true or false."),
    "list_type": ("not_list", "{name} must be a list of texts."),
    "extra_forbidden": ("unknown", "There is no member {field} here."),
}
"""What each kind of pydantic's refusals is called here. Others are called invalid."""

_INVALID: Final = ("invalid", "{name} is not valid.")

_NAMES: Final = {
    "username": "The user name",
    "email": "The e-mail address",
    "password": "The password",
    "currentPassword": "The present password",
    "newPassword": "The new password",
}
"""What people call a member; others go by their own name."""

_LONGEST_NAME: Final = 64
"""Characters of a member's own name that a message repeats."""

Trimmed = Annotated[str, StringConstraints(strip_whitespace=True)]
"""A name or an address: keyboards and forms put spaces around it."""


class Payload(BaseModel):
    """A request's body. Members that it does not name are refused, types are strict."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, hide_input_in_errors=True
    )


class SignUpPayload(Payload, extra="ignore"):
    """POST /api/auth/signup. The tutorial's server ignores members it does not know."""

    username: Trimmed
    email: Trimmed
    password: str = Field(repr=False)
    roles: list[str] | None = None


class SignInPayload(Payload, extra="ignore"):
    """POST /api/auth/signin. The tutorial's server ignores members it does not know."""

    username: Trimmed
    password: str = Field(repr=False)


class ProfilePayload(Payload):
    """PATCH /api/users/me."""

    username: Trimmed | None = None
    email: Trimmed | None = None


class UserPayload(ProfilePayload):
    """PATCH /api/users/{id}."""

    disabled: bool | None = None


class PasswordPayload(Payload):
    """POST /api/users/me/password."""

    present: str = Field(alias="currentPassword", repr=False)
    new: str = Field(alias="newPassword", repr=False)


class FreshCheckPayload(Payload):
    """POST /api/users/me/fresh."""

    password: str = Field(repr=False)


class RolePayload(Payload):
    """POST /api/roles."""

    name: str
    description: str


class RolesPayload(Payload):
    """PUT /api/users/{id}/roles."""

    roles: list[str]


async def read_payload(
    request: web.Request, model: type[P], *, form: bool = False
) -> P:
    """Return the request's body as what it should be, or raise a `ProblemError`.

    ``form`` allows a form in place of JSON.
    """
    members = await read_members(request, form=form)
    if request.content_type == FORM and isinstance(members.get("roles"), str):
        members["roles"] = [members["roles"]]
    try:
        return model.model_validate(members)
    except ValidationError as error:
        raise ProblemError(_of_validation_error(error)) from None


def invalid_fields(faults: Sequence[InvalidFieldError]) -> Problem:
    """Return the problem of values that cannot be accepted."""
    return _invalid([(each.field, each.code, each.message) for each in faults])


def invalid_parameter(name: str, requirement: str) -> Problem:
    """Return the problem of a parameter of a query string; say what it must be."""
    return _invalid([(name, "invalid", f"The parameter {name} {requirement}")])


def _of_validation_error(error: ValidationError) -> Problem:
    faults: dict[str, tuple[str, str, str]] = {}
    for each in error.errors(include_url=False, include_context=False):
        field = str(each["loc"][0])
        code, message = _MESSAGES.get(each["type"], _INVALID)
        own_name = field[:_LONGEST_NAME]
        message = message.format(name=_NAMES.get(field, own_name), field=own_name)
        faults.setdefault(field, (field, code, message))
    return _invalid(list(faults.values()))


def _invalid(faults: Sequence[tuple[str, str, str]]) -> Problem:
    """Return the problem that has one entry for each field."""
    return replace(
        accounts.INVALID_FIELDS,
        message=" ".join(message for _, _, message in faults),
        members={
            "errors": [
                {"field": field, "code": code, "message": message}
                for field, code, message in faults
            ]
        },
    )


def json_response(members: Mapping[str, Any]) -> web.Response:
    """Return a JSON response that nobody may store."""
    return web.json_response(members, headers={"Cache-Control": "no-store"})


def message_response(message: str) -> web.Response:
    """Return a response that says no more than this."""
    return json_response({"message": message})


def role_names(roles: Iterable[RoleName]) -> list[str]:
    """Return roles as the tutorial's clients know them."""
    return [f"ROLE_{name.upper()}" for name in roles]


def role_members(role: Role) -> dict[str, object]:
    """Return what a response says of a role."""
    return {"name": role.name, "description": role.description}


def user_members(user: User) -> dict[str, object]:
    """Return the members that describe a user."""
    return {
        "id": user.id,
        "username": user.username,
        "email": user.email,
        "roles": role_names(user.roles),
        "disabled": user.disabled_at is not None,
        "passwordChangeRequired": user.password_is_temporary,
        "createdAt": moment(user.created_at),
        "updatedAt": moment(user.updated_at),
    }


def session_members(session: Session, *, current: bool) -> dict[str, object]:
    """Return the members that describe a session."""
    return {
        "id": session.id,
        "device": session.device,
        "address": session.address,
        "current": current,
        "createdAt": moment(session.created_at),
        "lastUsedAt": moment(session.rotated_at),
        "expiresAt": moment(min(session.idle_expires_at, session.expires_at)),
    }


def moment(at: datetime) -> str:
    """Return a moment as RFC 3339 text in UTC."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
