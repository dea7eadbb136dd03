"""Delete one's account, and export one's data."""

from aiohttp import web

from identity_service.domain.sessions.sessions import Caller
from identity_service.handlers.accounts.personal_data import PersonalDataBody
from identity_service.handlers.context import RequestContext
from identity_service.handlers.operations import operation
from identity_service.handlers.responses import (
    DepartureBody,
    in_their_language,
    json_response,
    translated,
)
from service_kit.operations import USERS
from service_kit.problems import accounts


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

    Every session ends now. Signing in before the account is deleted keeps it.
    """
    due_at = await context.services.accounts.departures.ask(caller)
    message = "Your account will be deleted. To keep it, sign in before then."
    if due_at <= context.services.clock():
        message = "Account deleted."
    body = DepartureBody(message=translated(message), deleted_at=due_at)
    return in_their_language(json_response(body))


@operation(
    "GET",
    "/api/users/me/export",
    access=USERS,
    returns=PersonalDataBody,
    problems=(accounts.TOO_MANY_ATTEMPTS,),
)
async def export_me(context: RequestContext, caller: Caller) -> web.Response:
    """Export all data about the caller."""
    held = await context.services.personal_data.export(caller)
    return json_response(PersonalDataBody.of(held, caller.session_id))
