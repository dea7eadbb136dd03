"""The keys that verify what we sign."""

from aiohttp import web

from identity_service.app_keys import SIGNING_KEYS
from identity_service.handlers.conditional import conditional_response


async def show(request: web.Request) -> web.Response:
    """GET /.well-known/jwks.json (RFC 7517)."""
    jwks = request.app[SIGNING_KEYS].jwks()
    return conditional_response(
        request,
        jwks.body,
        media_type="application/jwk-set+json",
        cache_control=f"public, max-age={int(jwks.max_age.total_seconds())}",
    )
