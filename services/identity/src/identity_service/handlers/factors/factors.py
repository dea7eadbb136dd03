"""Second factors of the caller, and the second step of a sign-in."""

import asyncio

from aiohttp import web

from identity_service.domain.sessions.sessions import Caller
from identity_service.handlers.accounts.sessions import signed_in_response
from identity_service.handlers.context import RequestContext
from identity_service.handlers.factor_models import (
    CodePayload,
    FactorsBody,
    FreshCheckPayload,
    RecoveryCodesBody,
    SecondFactorPayload,
    TotpBody,
)
from identity_service.handlers.operations import operation
from identity_service.handlers.payloads import MailedTokenPayload
from identity_service.handlers.responses import (
    MessageBody,
    SignInBody,
    json_response,
    message_response,
)
from identity_service.security import totp
from service_kit.operations import ANYBODY, USERS
from service_kit.problems import accounts, common


@operation(
    "POST",
    "/api/auth/signin/second-factor",
    access=ANYBODY,
    body=SecondFactorPayload,
    returns=SignInBody,
    problems=(
        accounts.INVALID_CREDENTIALS,
        common.CROSS_SITE_REQUEST,
        accounts.TOO_MANY_ATTEMPTS,
    ),
)
async def complete_sign_in(context: RequestContext) -> web.Response:
    """Complete a sign-in with a second factor, and get a token pair."""
    transport = context.transport.to_page(context.page)
    payload = await context.read(SecondFactorPayload)
    user, pair = await context.services.factors.second_steps.complete(
        payload.challenge, payload.proof, context.device
    )
    return signed_in_response(transport, user, pair)


@operation(
    "POST",
    "/api/users/me/fresh",
    access=USERS,
    body=FreshCheckPayload,
    returns=MessageBody,
    problems=(accounts.WRONG_PROOF, accounts.TOO_MANY_ATTEMPTS, accounts.BUSY),
)
async def check_afresh(context: RequestContext, caller: Caller) -> web.Response:
    """Authenticate again, for actions that require a fresh check.

    With the password, or with one second factor.
    """
    payload = await context.read(FreshCheckPayload)
    if (password := payload.only_password) is not None:
        await context.services.fresh_checks.by_password(caller, password)
    else:
        await context.services.fresh_checks.by_factor(caller, payload.proof)
    return message_response("Identity confirmed.")


@operation("GET", "/api/users/me/factors", access=USERS, returns=FactorsBody)
async def show_factors(context: RequestContext, caller: Caller) -> web.Response:
    """Show which second factors the caller has."""
    factors = await context.services.factors.totp.factors(caller.user_id)
    return json_response(FactorsBody.model_validate(factors))


@operation(
    "POST",
    "/api/users/me/totp",
    access=USERS,
    fresh=True,
    returns=TotpBody,
    problems=(accounts.TOTP_PRESENT, accounts.TOO_MANY_ATTEMPTS),
)
async def begin_totp(context: RequestContext, caller: Caller) -> web.Response:
    """Get a secret for an authenticator app.

    The app is a second factor once a code has confirmed it.
    """
    new = await context.services.factors.totp.begin(caller)
    qr_code = await asyncio.to_thread(totp.qr_code, new.uri)
    return json_response(TotpBody(secret=new.secret, uri=new.uri, qr_code=qr_code))


@operation(
    "POST",
    "/api/users/me/totp/confirm",
    access=USERS,
    fresh=True,
    body=CodePayload,
    returns=RecoveryCodesBody,
    problems=(accounts.WRONG_PROOF, accounts.TOO_MANY_ATTEMPTS),
)
async def confirm_totp(context: RequestContext, caller: Caller) -> web.Response:
    """Confirm an authenticator app by its first code, and get recovery codes."""
    payload = await context.read(CodePayload)
    codes = await context.services.factors.totp.confirm(caller, payload.code)
    return json_response(RecoveryCodesBody(recovery_codes=codes))


@operation(
    "DELETE",
    "/api/users/me/totp",
    access=USERS,
    fresh=True,
    returns=MessageBody,
    problems=(accounts.FACTOR_NOT_FOUND, accounts.TOO_MANY_ATTEMPTS),
)
async def remove_totp(context: RequestContext, caller: Caller) -> web.Response:
    """Remove the caller's authenticator app."""
    await context.services.factors.totp.remove(caller)
    return message_response("Authenticator app removed.")


@operation(
    "POST",
    "/api/users/me/recovery-codes",
    access=USERS,
    fresh=True,
    returns=RecoveryCodesBody,
    problems=(accounts.FACTOR_NOT_FOUND, accounts.TOO_MANY_ATTEMPTS),
)
async def renew_recovery_codes(context: RequestContext, caller: Caller) -> web.Response:
    """Get new recovery codes in place of the old."""
    codes = await context.services.factors.totp.renew_recovery_codes(caller)
    return json_response(RecoveryCodesBody(recovery_codes=codes))


@operation(
    "POST",
    "/api/auth/factor-change/undo",
    access=ANYBODY,
    body=MailedTokenPayload,
    returns=MessageBody,
    problems=(accounts.TOKEN_REFUSED, accounts.TOO_MANY_ATTEMPTS, accounts.BUSY),
)
async def undo_factor_change(context: RequestContext) -> web.Response:
    """Undo a change of second factors, with the token of the mail that announced it.

    What was added then or since is removed, recovery codes too. Every session ends, and
    the password becomes unusable: a mail lets its reader choose a new one.
    """
    payload = await context.read(MailedTokenPayload)
    await context.services.accounts.undoing.undo_factor_change(
        payload.token, context.device
    )
    return message_response(
        "All sessions have ended. A mail with a link to choose a new password is on"
        " its way."
    )
