"""Forgotten passwords."""

from http import HTTPStatus
from typing import Final

from aiohttp import web

from identity_service.domain.mail import MailRequestKind
from identity_service.domain.sessions.sessions import Caller
from identity_service.handlers.context import RequestContext
from identity_service.handlers.operations import ADMINS, USER, USER_ID, operation
from identity_service.handlers.payloads import EmailPayload, NewPasswordPayload
from identity_service.handlers.responses import MessageBody, message_response
from service_kit.operations import ANYBODY, Reply
from service_kit.problems import accounts

MAYBE_SENT: Final = "If this address has an account, a mail is on its way."
"""Whether it has one or not."""

ACCEPTED: Final = Reply(MessageBody, HTTPStatus.ACCEPTED)


@operation(
    "POST",
    "/api/auth/password-reset",
    access=ANYBODY,
    body=EmailPayload,
    returns=ACCEPTED,
    problems=(accounts.NOT_OFFERED, accounts.TOO_MANY_ATTEMPTS),
)
async def ask_for_password_reset(context: RequestContext) -> web.Response:
    """Mail a link to choose a new password.

    The response is the same whether the address has an account or not.
    """
    return await ask_for_mail(context, MailRequestKind.PASSWORD_RESET)


async def ask_for_mail(context: RequestContext, kind: MailRequestKind) -> web.Response:
    """Have a mail sent to the address in the body; say no more than that."""
    payload = await context.read(EmailPayload)
    await context.services.accounts.mail_requests.ask(
        kind, payload.email, context.device
    )
    return message_response(MAYBE_SENT, HTTPStatus.ACCEPTED)


@operation(
    "POST",
    "/api/auth/password-reset/confirm",
    access=ANYBODY,
    body=NewPasswordPayload,
    returns=MessageBody,
    problems=(accounts.TOKEN_REFUSED, accounts.TOO_MANY_ATTEMPTS, accounts.BUSY),
)
async def reset_password(context: RequestContext) -> web.Response:
    """Choose a new password with the token of a mail, and end every session.

    The token is that of a reset or of an invitation.
    """
    payload = await context.read(NewPasswordPayload)
    await context.services.accounts.password_resets.confirm(
        payload.token, payload.password, context.device
    )
    return message_response("Password changed.")


@operation(
    "POST",
    f"{USER}/password-reset",
    access=ADMINS,
    fresh=True,
    path_parameters=USER_ID,
    returns=ACCEPTED,
    problems=(accounts.ACCOUNT_NOT_FOUND, accounts.NOT_OFFERED),
)
async def send_password_reset(context: RequestContext, admin: Caller) -> web.Response:
    """Mail a user a link to choose a new password."""
    await context.services.password_letters.send(context.user_id, admin)
    return message_response("A mail is on its way.", HTTPStatus.ACCEPTED)
