"""The keys that verify what we sign."""

from aiohttp import web

from identity_service.handlers.conditional import conditional_response
from identity_service.handlers.context import RequestContext


async def show(request: web.Request) -> web.Response:
    """GET /.well-known/jwks.json (RFC 7517)."""
    jwks = RequestContext(request).services.keys.jwks()
    return conditional_response(
        request,
        jwks.body,
        media_type="application/jwk-set+json",
        cache_control=f"public, max-age={int(jwks.max_age.total_seconds())}",
    )
