"""Protect a FastAPI service with the issuer's access tokens."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from aiohttp import ClientSession
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from service_kit.tokens import (
    AccessClaims,
    InvalidTokenError,
    RemoteKeySet,
    RemoteStatusLists,
    TokenVerifier,
)


async def current_claims(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())],
) -> AccessClaims:
    """Return the claims of the request's access token, or answer 401."""
    verifier: TokenVerifier = request.app.state.verifier
    try:
        return await verifier.verify(credentials.credentials)
    except InvalidTokenError as error:
        challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        raise HTTPException(401, headers=challenge) from error


def create_app(issuer: str) -> FastAPI:
    """Return the service."""
    jwks, lists = f"{issuer}/.well-known/jwks.json", f"{issuer}/api/auth/statuslists/"

    @asynccontextmanager
    async def verify_tokens(app: FastAPI) -> AsyncIterator[None]:
        async with (
            ClientSession() as http,
            RemoteKeySet(jwks, http) as keys,
            RemoteStatusLists({lists: lists}, keys, http) as statuses,
        ):
            app.state.verifier = TokenVerifier(
                keys, issuer=issuer, audience="content", statuses=statuses
            )
            yield

    app = FastAPI(lifespan=verify_tokens)

    @app.get("/hello")
    async def hello(claims: Annotated[AccessClaims, Depends(current_claims)]) -> str:
        return f"Hello, {claims.subject}."

    return app
