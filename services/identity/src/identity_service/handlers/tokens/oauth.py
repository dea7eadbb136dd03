"""Introspection (RFC 7662) and revocation (RFC 7009)."""

import base64
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, NoReturn
from urllib.parse import unquote_plus

from aiohttp import hdrs, web

from identity_service.handlers.context import RequestContext
from identity_service.handlers.operations import operation
from identity_service.handlers.payloads import IntrospectionPayload, TokenPayload
from identity_service.handlers.responses import json_response
from identity_service.handlers.tokens.models import IntrospectionBody
from service_kit.operations import ANYBODY, CLIENTS, Reply, Tag
from service_kit.problems import ProblemError, accounts, common
from service_kit.requests.bodies import FORM, read_members, unsupported_media_type

_logger: Final = logging.getLogger(__name__)


@operation(
    "POST",
    "/oauth2/introspect",
    access=CLIENTS,
    body=IntrospectionPayload,
    body_types=(FORM,),
    returns=IntrospectionBody,
    problems=(accounts.INVALID_CLIENT,),
)
async def introspect(context: RequestContext) -> web.Response:
    """Introspect a token (RFC 7662)."""
    services = context.services
    form = await _read_form(context.request)
    client_id, secret = _client_credentials(context.request, form)
    if not services.settings.introspection_clients.match(client_id, secret):
        _logger.warning("introspection_refused", extra={"client": client_id[:64]})
        raise ProblemError(accounts.INVALID_CLIENT)
    found = await services.tokens.introspection.introspect(_token(form))
    if found is None:
        return json_response({"active": False})
    return json_response({"active": True, **found})


@operation(
    "POST",
    "/oauth2/revoke",
    tag=Tag.TOKENS,
    access=ANYBODY,
    body=TokenPayload,
    body_types=(FORM,),
    returns=Reply(media_type=None),
    problems=(accounts.UNSUPPORTED_TOKEN_TYPE,),
)
async def revoke(context: RequestContext) -> web.Response:
    """End the session of a token (RFC 7009)."""
    form = await _read_form(context.request)
    await context.services.tokens.introspection.revoke(
        _token(form), form.get("token_type_hint"), context.device
    )
    return web.Response(headers={hdrs.CACHE_CONTROL: "no-store"})


async def _read_form(request: web.Request) -> dict[str, str]:
    """Return the parameters: each once, those without a value left out (RFC 6749)."""
    if request.content_type != FORM:
        raise unsupported_media_type((FORM,))
    form = {}
    for name, value in (await read_members(request, form=True)).items():
        if not isinstance(value, str):
            _refuse("A parameter is given more than once.")
        if value:
            form[name] = value
    return form


def _token(form: Mapping[str, str]) -> str:
    return form.get("token") or _refuse("The parameter token is missing.")


def _client_credentials(
    request: web.Request, form: Mapping[str, str]
) -> tuple[str, str]:
    """Return what the client says it is: by HTTP Basic, or by two parameters.

    Never both (RFC 6749 section 2.3).
    """
    headers = request.headers.getall(hdrs.AUTHORIZATION, [])
    if len(headers) > 1 or (headers and "client_secret" in form):
        _refuse("The client authenticates in more than one way.")
    if headers:
        client_id, secret = _basic_credentials(headers[0])
        if form.get("client_id", client_id) != client_id:
            _refuse("The header and the body name different clients.")
        return client_id, secret
    return form.get("client_id", ""), form.get("client_secret", "")


def _basic_credentials(header: str) -> tuple[str, str]:
    """Read RFC 7617 credentials, whose halves RFC 6749 has form-encoded."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        raise ProblemError(accounts.INVALID_CLIENT)
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
        client_id, _, secret = decoded.partition(":")
        return unquote_plus(client_id, errors="strict"), unquote_plus(
            secret, errors="strict"
        )
    except ValueError:
        raise ProblemError(accounts.INVALID_CLIENT) from None


def _refuse(message: str) -> NoReturn:
    raise ProblemError(
        replace(
            common.INVALID_REQUEST,
            message=message,
            members={"error": common.INVALID_REQUEST.code},
        )
    )
