"""What content is measured beside: ``python -m tests.bench.content_peers NAME``.

Each is a server process on 127.0.0.1; the environment is that of content itself.
"""

import asyncio
import os
import sys
import urllib.request
from typing import Annotated, Any, Final

import jwt
import uvicorn
import uvloop
from aiohttp import web
from fastapi import Depends, FastAPI, Header, HTTPException
from prometheus_client import CollectorRegistry

from content_service.app import create_app
from content_service.settings import Settings
from service_kit.health import Readiness
from service_kit.settings import read_settings
from service_kit.tokens import VerifiedTokens

_PATH: Final = "/api/test/user"


async def _serve(runner: web.BaseRunner, port: int) -> None:
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


def empty(port: int) -> None:
    """Serve a handler that does nothing."""

    async def handler(_: web.Request) -> web.Response:
        return web.Response(text="User Content.")

    app = web.Application()
    app.router.add_get(_PATH, handler)
    uvloop.run(_serve(web.AppRunner(app, access_log=None), port))


def forgetful(port: int) -> None:
    """Serve content, but remember no token."""
    settings = read_settings(Settings, os.environ)

    app = create_app(
        settings, Readiness(), CollectorRegistry(), memory=VerifiedTokens(capacity=0)
    )
    uvloop.run(_serve(web.AppRunner(app, access_log=None), port))


def fastapi(port: int) -> None:
    """Serve what a FastAPI tutorial would: PyJWT on each request, key parsed once."""
    settings = read_settings(Settings, os.environ)
    with urllib.request.urlopen(settings.jwks_url) as answer:
        keys = jwt.PyJWKSet.from_json(answer.read().decode())
    app = FastAPI()

    async def claims(x_access_token: Annotated[str, Header()]) -> Any:  # noqa: ANN401
        try:
            kid = jwt.get_unverified_header(x_access_token)["kid"]
            return jwt.decode(
                x_access_token,
                keys[kid],
                algorithms=["RS256"],
                issuer=settings.issuer,
                audience=settings.audience,
            )
        except (jwt.PyJWTError, KeyError) as error:
            raise HTTPException(401) from error

    @app.get(_PATH)
    async def user(_: Annotated[Any, Depends(claims)]) -> str:  # noqa: ANN401
        return "User Content."

    uvicorn.run(app, host="127.0.0.1", port=port, access_log=False, loop="uvloop")


if __name__ == "__main__":
    {"empty": empty, "forgetful": forgetful, "fastapi": fastapi}[sys.argv[1]](
        int(os.environ["CONTENT_PORT"])
    )
