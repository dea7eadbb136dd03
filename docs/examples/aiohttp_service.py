"""Protect an aiohttp service with the issuer's access tokens."""

from collections.abc import AsyncIterator

from aiohttp import ClientSession, web

from service_kit.auth import (
    AUTHENTICATOR,
    Authenticator,
    auth_problems,
    caller,
    protected,
)
from service_kit.middleware import request_middleware
from service_kit.tokens import RemoteKeySet, RemoteStatusLists, TokenVerifier


@protected()
async def hello(request: web.Request) -> web.Response:
    """Greet whoever has a valid access token."""
    return web.Response(text=f"Hello, {caller(request).subject}.")


def create_app(issuer: str) -> web.Application:
    """Return the service."""
    jwks, lists = f"{issuer}/.well-known/jwks.json", f"{issuer}/api/auth/statuslists/"

    async def verify_tokens(app: web.Application) -> AsyncIterator[None]:
        async with (
            ClientSession() as http,
            RemoteKeySet(jwks, http) as keys,
            RemoteStatusLists({lists: lists}, keys, http) as statuses,
        ):
            verifier = TokenVerifier(
                keys, issuer=issuer, audience="content", statuses=statuses
            )
            app[AUTHENTICATOR] = Authenticator(verifier, cookie="__Secure-access_token")
            yield

    app = web.Application(
        middlewares=[request_middleware(auth_problems(tutorial_compat=False))]
    )
    app.cleanup_ctx.append(verify_tokens)
    app.router.add_get("/hello", hello)
    return app
