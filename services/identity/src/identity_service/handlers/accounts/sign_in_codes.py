"""Sign in by codes that are mailed."""

from aiohttp import web

from identity_service.domain.mail import MailRequestKind
from identity_service.handlers.accounts.password_resets import ACCEPTED, ask_for_mail
from identity_service.handlers.accounts.sessions import signed_in_response
from identity_service.handlers.context import RequestContext
from identity_service.handlers.operations import operation
from identity_service.handlers.payloads import EmailPayload, SignInCodePayload
from identity_service.handlers.responses import SignInBody
from service_kit.operations import ANYBODY
from service_kit.problems import accounts, common


@operation(
    "POST",
    "/api/auth/signin/code",
    access=ANYBODY,
    body=EmailPayload,
    returns=ACCEPTED,
    problems=(accounts.NOT_OFFERED, accounts.TOO_MANY_ATTEMPTS),
)
async def ask_for_sign_in_code(context: RequestContext) -> web.Response:
    """Mail a code that signs in once, to a verified address.

    The response is the same whether the address has an account or not.
    """
    return await ask_for_mail(context, MailRequestKind.SIGN_IN_CODE)


@operation(
    "POST",
    "/api/auth/signin/code/confirm",
    access=ANYBODY,
    body=SignInCodePayload,
    returns=SignInBody,
    problems=(
        accounts.NOT_OFFERED,
        accounts.INVALID_CREDENTIALS,
        accounts.SECOND_FACTOR_REQUIRED,
        common.CROSS_SITE_REQUEST,
        accounts.TOO_MANY_ATTEMPTS,
    ),
)
async def sign_in_with_code(context: RequestContext) -> web.Response:
    """Begin a session with a mailed code, and get a token pair."""
    transport = context.transport.to_page(context.page)
    payload = await context.read(SignInCodePayload)
    user, pair = await context.services.accounts.code_sign_ins.sign_in(
        payload.email, payload.code, context.device
    )
    return signed_in_response(transport, user, pair)
