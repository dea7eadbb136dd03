"""Delete one's account, and export one's data."""

from typing import Annotated, Self

from aiohttp import web

from identity_service.domain.sessions.sessions import Caller, Session
from identity_service.handlers.context import RequestContext
from identity_service.handlers.factor_models import PasskeyBody
from identity_service.handlers.operations import operation
from identity_service.handlers.responses import (
    AuditEventBody,
    Body,
    DepartureBody,
    SessionBody,
    UserBody,
    json_response,
    message_response,
)
from identity_service.handlers.schemas import (
    Count,
    EmailText,
    Moment,
    Words,
    described,
    text,
)
from identity_service.usecases.accounts.personal_data import MOST_EVENTS, PersonalData
from service_kit.operations import USERS
from service_kit.problems import accounts


class HeldTokenBody(Body):
    """A token that was mailed and has not been used; its secret is not stored."""

    purpose: Annotated[str, text(24, "password_reset")]
    email: EmailText
    created_at: Moment
    expires_at: Moment


class HeldMailBody(Body):
    """A mail that has not been sent."""

    kind: Annotated[str, text(32, "password_reset")]
    created_at: Moment


class HeldSessionBody(SessionBody):
    """A session, live or not."""

    ended_at: Moment | None
    """When it ended before its time."""
    authenticated_at: Moment
    """When the user last proved in it who they are."""
    methods: Words
    """By what, as ``amr`` of access tokens has it."""

    @classmethod
    def of_held(cls, session: Session, *, current: bool) -> Self:
        """Return what a response says of a session."""
        return cls(
            **SessionBody.of(session, current=current).model_dump(),
            ended_at=session.ended_at,
            authenticated_at=session.authentication.at,
            methods=session.authentication.amr,
        )


class PersonalDataBody(Body):
    """All data about a user, except the hash of their password."""

    user: UserBody
    subject: Annotated[str, text(22, "c3ViamVjdC1vZi1hbGljZQ")] | None
    """What tokens call the user."""
    password_changed_at: Moment
    email_verified_at: Moment | None
    has_totp: bool
    recovery_codes_left: Count
    passkeys: Annotated[list[PasskeyBody], described(maxItems=100)]
    sessions: Annotated[list[HeldSessionBody], described(maxItems=1000)]
    tokens: Annotated[list[HeldTokenBody], described(maxItems=10_000)]
    mails: Annotated[list[HeldMailBody], described(maxItems=10_000)]
    events: Annotated[list[AuditEventBody], described(maxItems=MOST_EVENTS)]

    @classmethod
    def of(cls, held: PersonalData, session_id: str) -> Self:
        """Return what a response says of it; ``session_id`` is the caller's."""
        return cls(
            user=UserBody.of(held.user),
            subject=held.user.subject,
            password_changed_at=held.user.password_changed_at,
            email_verified_at=held.user.email_verified_at,
            has_totp=held.factors.has_totp,
            recovery_codes_left=held.factors.recovery_codes,
            passkeys=[PasskeyBody.model_validate(each) for each in held.passkeys],
            sessions=[
                HeldSessionBody.of_held(each, current=each.id == session_id)
                for each in held.sessions
            ],
            tokens=[HeldTokenBody.model_validate(each) for each in held.tokens],
            mails=[HeldMailBody.model_validate(each) for each in held.letters],
            events=[AuditEventBody.model_validate(each) for each in held.events],
        )


@operation(
    "DELETE",
    "/api/users/me",
    access=USERS,
    fresh=True,
    returns=DepartureBody,
    problems=(accounts.LAST_ADMIN, accounts.TOO_MANY_ATTEMPTS),
)
async def delete_me(context: RequestContext, caller: Caller) -> web.Response:
    """Delete the caller's account, after a grace.

    Every session ends now. Signing in before the account is deleted keeps it. It is not
    deleted while a change of its address can still be undone.
    """
    due_at = await context.services.accounts.departures.ask(caller)
    message = "Your account will be deleted. To keep it, sign in before then."
    if due_at <= context.services.clock():
        message = "Account deleted."
    return message_response(DepartureBody(message=message, deleted_at=due_at))


@operation(
    "GET",
    "/api/users/me/export",
    access=USERS,
    returns=PersonalDataBody,
    problems=(accounts.TOO_MANY_ATTEMPTS,),
)
async def export_me(context: RequestContext, caller: Caller) -> web.Response:
    """Export all data about the caller.

    The addresses of administrators who changed the account are left out.
    """
    held = await context.services.personal_data.export(caller)
    return json_response(PersonalDataBody.of(held, caller.session_id))
