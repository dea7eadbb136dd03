"""The keys that verify what we sign."""

from aiohttp import web

from identity_service.handlers.context import RequestContext
from identity_service.handlers.operations import operation, published
from identity_service.handlers.requests.conditional import conditional_response
from identity_service.handlers.tokens.models import JwksBody
from identity_service.handlers.waiting import waited_response
from service_kit.operations import ANYBODY, Tag


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
