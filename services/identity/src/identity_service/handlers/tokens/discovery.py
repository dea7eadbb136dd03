"""Publish the issuer's keys, and describe it (RFC 8414, OpenID Connect Discovery)."""

import json
from typing import Final

from aiohttp import web

from identity_service.handlers.context import RequestContext
from identity_service.handlers.operations import operation, published
from identity_service.handlers.requests.conditional import conditional_response
from identity_service.handlers.tokens.models import JwksBody, MetadataBody
from identity_service.handlers.waiting import waited_response
from service_kit.discovery import METADATA
from service_kit.operations import ANYBODY, Tag
from service_kit.tokens import ALGORITHM

_CACHE_CONTROL: Final = "public, max-age=300"


@operation(
    "GET",
    "/.well-known/jwks.json",
    tag=Tag.TOKENS,
    access=ANYBODY,
    returns=published(JwksBody, media_type="application/jwk-set+json"),
)
async def show_jwks(context: RequestContext) -> web.Response:
    """Show the keys that verify access tokens (RFC 7517)."""
    keys = context.services.tokens.keys

    async def respond() -> web.Response:
        jwks = keys.jwks()
        return conditional_response(
            context.request,
            jwks.body,
            media_type="application/jwk-set+json",
            cache_control=f"public, max-age={int(jwks.max_age.total_seconds())}",
        )

    return await waited_response(context.request, keys.watch, respond)


def _metadata(issuer: str, *, has_mailbox: bool) -> bytes:
    """Return the document that names every endpoint under the issuer.

    There is no authorization endpoint, so the response type is ``none``: members that
    must be there must not be empty (RFC 8414 section 3.2). Left out, the grants would
    be those that need one (section 2), so the only one there is stands here.
    """
    members = {
        "issuer": issuer,
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "response_types_supported": ["none"],
        "grant_types_supported": ["refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "introspection_endpoint": f"{issuer}/oauth2/introspect",
        "introspection_endpoint_auth_methods_supported": [
            "client_secret_basic",
            "client_secret_post",
        ],
        "revocation_endpoint": f"{issuer}/oauth2/revoke",
        "revocation_endpoint_auth_methods_supported": ["none"],
        "status_list_aggregation_endpoint": f"{issuer}/api/auth/statuslists",
    }
    if has_mailbox:
        members["mailbox_endpoint"] = f"{issuer}/api/auth/mailbox"
    return json.dumps(members, indent=1).encode()


@operation(
    "GET",
    METADATA,
    tag=Tag.TOKENS,
    access=ANYBODY,
    returns=published(MetadataBody),
)
async def show_metadata(context: RequestContext) -> web.Response:
    """Describe the issuer (RFC 8414)."""
    return _show(context)


@operation(
    "GET",
    "/.well-known/openid-configuration",
    tag=Tag.TOKENS,
    access=ANYBODY,
    returns=published(MetadataBody),
)
async def show_openid_configuration(context: RequestContext) -> web.Response:
    """Describe the issuer, where clients of OpenID Connect look."""
    return _show(context)


def _show(context: RequestContext) -> web.Response:
    settings = context.services.settings
    return conditional_response(
        context.request,
        _metadata(settings.issuer, has_mailbox=settings.mailbox),
        media_type="application/json",
        cache_control=_CACHE_CONTROL,
    )
