"""Forgotten passwords."""

from http import HTTPStatus
from typing import Final

from aiohttp import web

from identity_service.domain.mail import MailRequestKind
from identity_service.handlers.context import RequestContext
from identity_service.handlers.operations import (
    ADMINS,
    USER,
    USER_ID,
    operation,
    user_id_in,
)
from identity_service.handlers.payloads import (
    EmailPayload,
    NewPasswordPayload,
    read_payload,
)
from identity_service.handlers.responses import MessageBody, message_response
from service_kit.operations import ANYBODY, Reply, Tag
from service_kit.problems import accounts

MAYBE_SENT: Final = "If this address has an account, a mail is on its way."
"""Whether it has one or not."""

ACCEPTED: Final = Reply(MessageBody, HTTPStatus.ACCEPTED)


@operation(
    "POST",
    "/api/auth/password-reset",
    tag=Tag.SIGN_IN,
    access=ANYBODY,
    body=EmailPayload,
    returns=ACCEPTED,
    problems=(accounts.NOT_OFFERED, accounts.TOO_MANY_ATTEMPTS),
)
async def ask_for_password_reset(request: web.Request) -> web.Response:
    """Have a link to choose a new password mailed.

    The response is the same whether the address has an account or not.
    """
    return await ask_for_mail(request, MailRequestKind.PASSWORD_RESET)


async def ask_for_mail(request: web.Request, kind: MailRequestKind) -> web.Response:
    """Have a mail sent to the address in the body; say no more than that."""
    context = RequestContext(request)
    payload = await read_payload(request, EmailPayload)
    await context.services.accounts.mail_requests.ask(
        kind, payload.email, context.device
    )
    return message_response(MAYBE_SENT, HTTPStatus.ACCEPTED)


@operation(
    "POST",
    "/api/auth/password-reset/confirm",
    tag=Tag.SIGN_IN,
    access=ANYBODY,
    body=NewPasswordPayload,
    returns=MessageBody,
    problems=(accounts.TOKEN_REFUSED, accounts.TOO_MANY_ATTEMPTS, accounts.BUSY),
)
async def reset_password(request: web.Request) -> web.Response:
    """Choose a new password with the token of a mail, and end every session.

    The token is that of a reset or of an invitation.
    """
    context = RequestContext(request)
    payload = await read_payload(request, NewPasswordPayload)
    await context.services.accounts.password_resets.confirm(
        payload.token, payload.password, context.device
    )
    return message_response("Password changed.")


@operation(
    "POST",
    f"{USER}/password-reset",
    tag=Tag.ADMINISTRATION,
    access=ADMINS,
    path_parameters=USER_ID,
    returns=ACCEPTED,
    problems=(
        accounts.ACCOUNT_NOT_FOUND,
        accounts.NOT_OFFERED,
        accounts.FRESH_CHECK_REQUIRED,
    ),
)
async def send_password_reset(request: web.Request) -> web.Response:
    """Mail a user a link to choose a new password."""
    context = RequestContext(request)
    admin = await context.admin()
    context.require_fresh(admin)
    await context.services.accounts.password_letters.send(user_id_in(request), admin)
    return message_response("A mail is on its way.", HTTPStatus.ACCEPTED)
