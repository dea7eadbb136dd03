"""The keys that verify what we sign."""

from aiohttp import web

from identity_service.handlers.conditional import conditional_response
from identity_service.handlers.context import RequestContext
from identity_service.handlers.waiting import waited_response


async def show(request: web.Request) -> web.Response:
    """GET /.well-known/jwks.json (RFC 7517)."""
    keys = RequestContext(request).services.keys

    async def respond() -> web.Response:
        jwks = keys.jwks()
        return conditional_response(
            request,
            jwks.body,
            media_type="application/jwk-set+json",
            cache_control=f"public, max-age={int(jwks.max_age.total_seconds())}",
        )

    return await waited_response(request, keys.watch, respond)
