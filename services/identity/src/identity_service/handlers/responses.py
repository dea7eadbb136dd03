"""The bodies of responses, and how they are sent."""

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Annotated, Any, Self

from aiohttp import hdrs, web
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from identity_service.domain.accounts.roles import RoleName
from identity_service.domain.accounts.users import User
from identity_service.domain.audit import LONGEST_TEXT
from identity_service.domain.sessions.sessions import Session
from identity_service.handlers.schemas import (
    AccessTokenText,
    Count,
    Cursor,
    EmailText,
    Id,
    MessageText,
    Moment,
    Number,
    RefreshTokenText,
    RoleNameText,
    RolesInResponses,
    SessionId,
    UsernameText,
    described,
    text,
)
from service_kit.languages.accepting import preferred_language
from service_kit.languages.text import Text


class Body(BaseModel):
    """A response's body. Members that are not given are left out of it.

    ``model_validate`` takes what has attributes of the members' names, or of those
    that their ``validation_alias`` says.
    """

    model_config = ConfigDict(
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=True,
        defer_build=True,
        from_attributes=True,
    )


class MessageBody(Body):
    """What was done, in words."""

    message: MessageText


class EndedBody(MessageBody):
    """How many sessions were ended."""

    ended: Count


class TokenPairBody(Body):
    """A token pair. Tokens that travel in cookies are not in it."""

    access_token: AccessTokenText = ""
    refresh_token: RefreshTokenText = ""
    token_type: Annotated[str, described(const="Bearer")]
    expires_in: Annotated[
        int, described(format="int32", minimum=1, maximum=86_400, example=900)
    ]
    """Seconds that the access token lives."""


class SignInBody(TokenPairBody):
    """Who has signed in, and their token pair."""

    id: Id
    username: UsernameText
    email: EmailText
    roles: RolesInResponses
    password_change_required: bool = False
    second_factor_enrolment_required: bool = False
    """Whether roles of theirs count after a sign-in with two factors only."""


class UserBody(Body):
    """A user."""

    id: Id
    username: UsernameText
    email: EmailText
    email_verified: bool
    """Whether the user has shown that the address is theirs."""
    roles: RolesInResponses
    disabled: bool
    password_change_required: bool
    created_at: Moment
    updated_at: Moment

    @classmethod
    def of(cls, user: User) -> Self:
        """Return what a response says of a user."""
        return cls(
            id=user.id,
            username=user.username,
            email=user.email,
            email_verified=user.email_verified_at is not None,
            roles=role_names(user.roles),
            disabled=user.disabled_at is not None,
            password_change_required=user.password_is_temporary,
            created_at=user.created_at,
            updated_at=user.updated_at,
        )


class CreatedUserBody(UserBody):
    """A user whom an administrator has made."""

    temporary_password: Annotated[str, text(64, "0123456789abcdefghijklmn")] = ""
    """Shown once, to be changed at the first sign-in; not for who is invited."""


class DepartureBody(MessageBody):
    """When an account will be deleted."""

    deleted_at: Moment


class Page(Body):
    """Some entries of a list."""

    next_cursor: Cursor | None
    """The parameter ``cursor`` of the next page; null on the last."""


class UserPage(Page):
    """Some users."""

    users: Annotated[list[UserBody], described(maxItems=200)]


class SessionBody(Body):
    """A session."""

    id: SessionId
    device: Annotated[str, text(255, "Mozilla/5.0")]
    address: Annotated[str, text(45, "192.0.2.7")]
    current: bool
    """Whether it is the session of the access token that asks."""
    created_at: Moment
    last_used_at: Moment
    expires_at: Moment

    @classmethod
    def of(cls, session: Session, *, current: bool) -> Self:
        """Return what a response says of a session."""
        return cls(
            id=session.id,
            device=session.device,
            address=session.address,
            current=current,
            created_at=session.created_at,
            last_used_at=session.rotated_at,
            expires_at=min(session.idle_expires_at, session.expires_at),
        )


class SessionsBody(Body):
    """The live sessions of a user."""

    sessions: Annotated[list[SessionBody], described(maxItems=10_000)]


class RoleBody(Body):
    """A role."""

    name: RoleNameText
    description: Annotated[str, text(200, "Edits texts.")]


class RolesBody(Body):
    """All roles."""

    roles: RolesInResponses
    details: Annotated[list[RoleBody], described(maxItems=200)]


DetailText = Annotated[str, text(LONGEST_TEXT, "signed_out")]


class AuditEventBody(Body):
    """An event of the audit log."""

    id: Id
    at: Moment
    action: Annotated[str, text(64, "session.signed_in")]
    actor: Id | None = Field(validation_alias="actor_id")
    """The user who did it; null for the system and for strangers."""
    subject: Id | None = Field(validation_alias="subject_id")
    """The user it was done to."""
    address: Annotated[str, text(45, "192.0.2.7")]
    request_id: Annotated[str, text(64, "0123456789abcdef01234567")]
    details: Annotated[
        dict[str, DetailText | Number | bool | None],
        BeforeValidator(json.loads),
        described(maxProperties=32, example={"sessions_ended": 1}),
    ]
    hash: Annotated[str, text(64, "0" * 64, pattern="^[0-9a-f]{64}$")]
    """Over all the event says and the hash of the event before it."""


class AuditPage(Page):
    """Some events, newest first."""

    events: Annotated[list[AuditEventBody], described(maxItems=200)]


def json_response(
    body: Body | Mapping[str, Any], status: HTTPStatus = HTTPStatus.OK
) -> web.Response:
    """Return a JSON response that must not be stored."""
    content = (
        body.model_dump_json(by_alias=True, exclude_unset=True)
        if isinstance(body, Body)
        else json.dumps(body)
    )
    return web.Response(
        text=content,
        status=status,
        content_type="application/json",
        headers={hdrs.CACHE_CONTROL: "no-store"},
    )


def created_response(body: Body, location: str) -> web.Response:
    """Return a response with what was made, and the path where it is."""
    response = json_response(body, HTTPStatus.CREATED)
    response.headers[hdrs.LOCATION] = location
    return response


def message_response(
    said: str | MessageBody, status: HTTPStatus = HTTPStatus.OK
) -> web.Response:
    """Return a response with an English message in the language of its request."""
    body = MessageBody(message=said) if isinstance(said, str) else said
    language = preferred_language.get()
    message = Text(body.message).in_language(language)
    response = json_response(body.model_copy(update={"message": message}), status)
    response.headers[hdrs.CONTENT_LANGUAGE] = language
    response.headers[hdrs.VARY] = hdrs.ACCEPT_LANGUAGE
    return response


def role_names(roles: Iterable[RoleName]) -> list[str]:
    """Return roles as the tutorial's clients know them."""
    return [f"ROLE_{name.upper()}" for name in roles]
