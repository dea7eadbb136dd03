"""Protect an aiohttp service with the issuer's access tokens.

Run it: ISSUER=http://localhost:8080 python aiohttp_service.py
"""

import os
from collections.abc import AsyncIterator

from aiohttp import ClientSession, web

from service_kit.auth import (
    AUTHENTICATOR,
    Authenticator,
    auth_problems,
    caller,
    protected,
)
from service_kit.requests.credentials import access_token_cookie
from service_kit.requests.middleware import request_middleware
from service_kit.tokens import RemoteKeySet, RemoteStatusLists, TokenVerifier


@protected()
async def hello(request: web.Request) -> web.Response:
    """Greet whoever has a valid access token."""
    return web.json_response({"caller": caller(request).subject})


def create_app(issuer: str, identity: str | None = None) -> web.Application:
    """Return the service.

    ``identity`` is where the issuer is reached from here, if not by its own name.
    """
    fetched = identity or issuer
    lists = "/api/auth/statuslists/"

    async def verify_tokens(app: web.Application) -> AsyncIterator[None]:
        async with (
            ClientSession() as http,
            RemoteKeySet(f"{fetched}/.well-known/jwks.json", http) as keys,
            RemoteStatusLists(
                {f"{issuer}{lists}": f"{fetched}{lists}"}, keys, http
            ) as statuses,
        ):
            verifier = TokenVerifier(
                keys, issuer=issuer, audience="content", statuses=statuses
            )
            cookie = access_token_cookie(secure=issuer.startswith("https"))
            app[AUTHENTICATOR] = Authenticator(
                verifier, cookie=cookie, own_origins=[issuer]
            )
            yield

    problems = auth_problems(tutorial_compat=False)
    app = web.Application(middlewares=[request_middleware(problems, public_url=issuer)])
    app.cleanup_ctx.append(verify_tokens)
    app.router.add_get("/api/hello", hello)
    app.router.add_post("/api/hello", hello)
    return app


if __name__ == "__main__":
    service = create_app(os.environ["ISSUER"], os.environ.get("IDENTITY"))
    host = os.environ.get("HOST", "127.0.0.1")  # 0.0.0.0 in a container
    web.run_app(service, host=host, port=int(os.environ.get("PORT", "8010")))
