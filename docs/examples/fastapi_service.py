"""Protect a FastAPI service with the issuer's access tokens.

Run it: ISSUER=http://localhost:8080 uvicorn --factory fastapi_service:from_environment
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from aiohttp import ClientSession
from fastapi import Depends, FastAPI, HTTPException, Request
from multidict import CIMultiDict, CIMultiDictProxy

from service_kit.auth import RETRY_AFTER_SECONDS, verify_one
from service_kit.requests.credentials import (
    MalformedCredentialsError,
    access_token_cookie,
    read_access_token,
)
from service_kit.requests.csrf import CrossSiteRequestError, CsrfGuard
from service_kit.tokens import (
    AccessClaims,
    InvalidTokenError,
    KeysUnavailableError,
    RemoteKeySet,
    RemoteStatusLists,
    StatusUnavailableError,
    TokenVerifier,
)


async def current_claims(request: Request) -> AccessClaims:
    """Return the claims of the access token in a header or a cookie, or refuse it.

    Browsers send cookies for any page: for unsafe methods the page has to be ours.
    """
    headers = CIMultiDictProxy(CIMultiDict(request.headers.items()))
    try:
        credentials = read_access_token(headers, cookie=request.app.state.cookie)
        if credentials is None:
            raise HTTPException(401, "No token.", {"WWW-Authenticate": "Bearer"})
        request.app.state.csrf_guard.check(credentials, request.method, headers)
        return await verify_one(request.app.state.verifier.verify, credentials)
    except MalformedCredentialsError as error:
        challenge = {"WWW-Authenticate": 'Bearer error="invalid_request"'}
        raise HTTPException(
            400, "The token must be given once, in one header.", challenge
        ) from error
    except CrossSiteRequestError as error:
        raise HTTPException(403, "Cookies are for pages of this site.") from error
    except InvalidTokenError as error:
        challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        raise HTTPException(401, "Not a valid token.", challenge) from error
    except (KeysUnavailableError, StatusUnavailableError) as error:
        again = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        raise HTTPException(503, "Tokens cannot be verified.", again) from error


def create_app(issuer: str, identity: str | None = None) -> FastAPI:
    """Return the service.

    ``identity`` is where the issuer is reached from here, if not by its own name.
    """
    fetched = identity or issuer
    lists = "/api/auth/statuslists/"

    @asynccontextmanager
    async def verify_tokens(app: FastAPI) -> AsyncIterator[None]:
        async with (
            ClientSession() as http,
            RemoteKeySet(f"{fetched}/.well-known/jwks.json", http) as keys,
            RemoteStatusLists(
                {f"{issuer}{lists}": f"{fetched}{lists}"}, keys, http
            ) as statuses,
        ):
            app.state.csrf_guard = CsrfGuard([issuer])
            app.state.cookie = access_token_cookie(secure=issuer.startswith("https"))
            app.state.verifier = TokenVerifier(
                keys, issuer=issuer, audience="content", statuses=statuses
            )
            yield

    app = FastAPI(lifespan=verify_tokens)

    @app.get("/api/hello")
    @app.post("/api/hello")
    async def hello(
        claims: Annotated[AccessClaims, Depends(current_claims)],
    ) -> dict[str, str]:
        return {"caller": claims.subject}

    return app


def from_environment() -> FastAPI:
    """Return the service that ISSUER and, if it is set, IDENTITY describe."""
    return create_app(os.environ["ISSUER"], os.environ.get("IDENTITY"))
