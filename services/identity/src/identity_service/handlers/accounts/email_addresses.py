"""Verify and change e-mail addresses."""

from http import HTTPStatus

from aiohttp import web

from identity_service.domain.mail import MailRequestKind
from identity_service.domain.sessions.sessions import Caller
from identity_service.handlers.accounts.password_resets import ACCEPTED, ask_for_mail
from identity_service.handlers.context import RequestContext
from identity_service.handlers.operations import operation
from identity_service.handlers.payloads import EmailPayload, MailedTokenPayload
from identity_service.handlers.responses import MessageBody, message_response
from service_kit.operations import ANYBODY, USERS
from service_kit.problems import accounts


@operation(
    "POST",
    "/api/auth/email-verification",
    access=ANYBODY,
    body=MailedTokenPayload,
    returns=MessageBody,
    problems=(
        accounts.TOKEN_REFUSED,
        accounts.USERNAME_TAKEN,
        accounts.TOO_MANY_ATTEMPTS,
    ),
)
async def verify_email(context: RequestContext) -> web.Response:
    """Verify an e-mail address with the token of a mail.

    Where addresses must be verified, this creates the account.
    """
    payload = await context.read(MailedTokenPayload)
    await context.services.accounts.email_verifications.confirm(
        payload.token, context.device
    )
    return message_response("E-mail address confirmed.")


@operation(
    "POST",
    "/api/auth/email-verification/resend",
    access=ANYBODY,
    body=EmailPayload,
    returns=ACCEPTED,
    problems=(accounts.NOT_OFFERED, accounts.TOO_MANY_ATTEMPTS),
)
async def resend_email_verification(context: RequestContext) -> web.Response:
    """Mail the link that verifies an e-mail address again.

    The response is the same whether the address has an account or not.
    """
    return await ask_for_mail(context, MailRequestKind.EMAIL_VERIFICATION)


@operation(
    "POST",
    "/api/users/me/email",
    access=USERS,
    fresh=True,
    body=EmailPayload,
    returns=ACCEPTED,
    problems=(accounts.NOT_OFFERED, accounts.TOO_MANY_ATTEMPTS),
)
async def ask_for_email_change(context: RequestContext, caller: Caller) -> web.Response:
    """Change the caller's e-mail address, by a link that is mailed to the new one.

    The response is the same whether the new address has an account or not.
    """
    payload = await context.read(EmailPayload)
    await context.services.accounts.email_changes.ask(caller, payload.email)
    return message_response("A mail is on its way.", HTTPStatus.ACCEPTED)


@operation(
    "POST",
    "/api/auth/email-change/confirm",
    access=ANYBODY,
    body=MailedTokenPayload,
    returns=MessageBody,
    problems=(accounts.TOKEN_REFUSED, accounts.TOO_MANY_ATTEMPTS),
)
async def confirm_email_change(context: RequestContext) -> web.Response:
    """Confirm a new e-mail address with the token of the mail to it."""
    payload = await context.read(MailedTokenPayload)
    await context.services.accounts.email_changes.confirm(payload.token, context.device)
    return message_response("E-mail address changed.")


@operation(
    "POST",
    "/api/auth/email-change/undo",
    access=ANYBODY,
    body=MailedTokenPayload,
    returns=MessageBody,
    problems=(accounts.TOKEN_REFUSED, accounts.TOO_MANY_ATTEMPTS, accounts.BUSY),
)
async def undo_email_change(context: RequestContext) -> web.Response:
    """Restore the old e-mail address, with the token of the mail to it.

    Every session ends, and the password becomes unusable: a mail to the old address
    lets its reader choose a new one.
    """
    payload = await context.read(MailedTokenPayload)
    await context.services.accounts.undoing.undo_email_change(
        payload.token, context.device
    )
    return message_response(
        "The old e-mail address is restored. A mail with a link to choose a new"
        " password is on its way."
    )
