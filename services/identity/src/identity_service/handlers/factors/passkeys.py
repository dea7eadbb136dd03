"""Passkeys of the caller, and sign-in with one."""

from http import HTTPStatus
from typing import Final

from aiohttp import hdrs, web

from identity_service.domain.sessions.sessions import Caller
from identity_service.handlers.accounts.sessions import signed_in_response
from identity_service.handlers.context import RequestContext
from identity_service.handlers.factor_models import (
    CredentialPayload,
    NewPasskeyBody,
    NewPasskeyPayload,
    OptionsBody,
    PasskeyBody,
    PasskeyNamePayload,
    PasskeysBody,
)
from identity_service.handlers.operations import operation
from identity_service.handlers.responses import (
    MessageBody,
    SignInBody,
    created_response,
    json_response,
    message_response,
)
from service_kit.operations import ANYBODY, USERS, PathParameter, Reply
from service_kit.problems import accounts, common

_PASSKEYS: Final = "/api/users/me/passkeys"
_PASSKEY: Final = f"{_PASSKEYS}/{{passkey_id:[A-Za-z0-9_-]{{16,1364}}}}"
"""As long as ids of credentials are (WebAuthn, section 4): "options" is none."""
_ID: Final = {"passkey_id": PathParameter("The passkey's id.", "A" * 43)}


@operation("POST", "/api/auth/passkeys/options", access=ANYBODY, returns=OptionsBody)
async def begin_passkey_use(context: RequestContext) -> web.Response:
    """Get the options with which a browser uses a passkey, for any purpose."""
    options = context.services.factors.passkey_sign_ins.options()
    return json_response(options)


@operation(
    "POST",
    "/api/auth/passkeys",
    access=ANYBODY,
    body=CredentialPayload,
    returns=SignInBody,
    problems=(
        accounts.INVALID_CREDENTIALS,
        common.CROSS_SITE_REQUEST,
        accounts.TOO_MANY_ATTEMPTS,
    ),
)
async def sign_in_by_passkey(context: RequestContext) -> web.Response:
    """Begin a session with a passkey alone, and get a token pair."""
    transport = context.transport.to_page(context.page)
    payload = await context.read(CredentialPayload)
    user, pair = await context.services.factors.passkey_sign_ins.sign_in(
        payload.credential, context.device
    )
    return signed_in_response(transport, user, pair)


@operation(
    "POST",
    f"{_PASSKEYS}/options",
    access=USERS,
    fresh=True,
    returns=OptionsBody,
    problems=(accounts.TOO_MANY_PASSKEYS, accounts.TOO_MANY_ATTEMPTS),
)
async def begin_passkey(context: RequestContext, caller: Caller) -> web.Response:
    """Get the options with which a browser creates a passkey."""
    return json_response(await context.services.factors.passkeys.options(caller))


@operation(
    "POST",
    _PASSKEYS,
    access=USERS,
    fresh=True,
    body=NewPasskeyPayload,
    returns=Reply(NewPasskeyBody, HTTPStatus.CREATED, headers=(hdrs.LOCATION,)),
    problems=(accounts.WRONG_PROOF, accounts.TOO_MANY_ATTEMPTS),
)
async def register_passkey(context: RequestContext, caller: Caller) -> web.Response:
    """Register a passkey that a browser has created."""
    payload = await context.read(NewPasskeyPayload)
    passkey, codes = await context.services.factors.passkeys.register(
        caller, payload.credential, payload.name
    )
    body = NewPasskeyBody(
        **PasskeyBody.model_validate(passkey).model_dump(), recovery_codes=codes
    )
    return created_response(body, context.location(f"{_PASSKEYS}/{passkey.id}"))


@operation("GET", _PASSKEYS, access=USERS, returns=PasskeysBody)
async def list_passkeys(context: RequestContext, caller: Caller) -> web.Response:
    """List the caller's passkeys."""
    found = await context.services.factors.passkeys.all(caller.user_id)
    bodies = [PasskeyBody.model_validate(passkey) for passkey in found]
    return json_response(PasskeysBody(passkeys=bodies))


@operation(
    "PATCH",
    _PASSKEY,
    access=USERS,
    path_parameters=_ID,
    body=PasskeyNamePayload,
    returns=PasskeyBody,
    problems=(accounts.FACTOR_NOT_FOUND, accounts.TOO_MANY_ATTEMPTS),
)
async def rename_passkey(context: RequestContext, caller: Caller) -> web.Response:
    """Rename one of the caller's passkeys."""
    payload = await context.read(PasskeyNamePayload)
    passkey = await context.services.factors.passkeys.rename(
        caller, context.request.match_info["passkey_id"], payload.name
    )
    return json_response(PasskeyBody.model_validate(passkey))


@operation(
    "DELETE",
    _PASSKEY,
    access=USERS,
    fresh=True,
    path_parameters=_ID,
    returns=MessageBody,
    problems=(accounts.FACTOR_NOT_FOUND, accounts.TOO_MANY_ATTEMPTS),
)
async def remove_passkey(context: RequestContext, caller: Caller) -> web.Response:
    """Remove one of the caller's passkeys."""
    await context.services.factors.passkeys.remove(
        caller, context.request.match_info["passkey_id"]
    )
    return message_response("Passkey removed.")
