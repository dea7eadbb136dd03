"""What callers show to be let in: the schemes, and which of them an operation takes."""

from collections.abc import Mapping
from typing import Final

from openapi_pydantic import SecurityScheme

from identity_service.handlers.requests.cookies import SECURE_REFRESH_TOKEN_COOKIE
from service_kit.operations import CredentialsKind, Operation
from service_kit.requests.credentials import access_token_cookie

Requirements = list[dict[str, list[str]]]
"""One of them is enough; each names schemes, and the roles that are needed."""

SCHEMES: Final = {
    "bearer": SecurityScheme(
        type="http",
        scheme="bearer",
        bearerFormat="JWT",
        description="The access token: a JWT as RFC 9068 has it, judged by RFC8725.",
    ),
    "accessTokenHeader": SecurityScheme(
        type="apiKey",
        name="x-access-token",
        security_scheme_in="header",
        description="The access token, as the tutorial's clients send it.",
    ),
    "accessTokenCookie": SecurityScheme(
        type="apiKey",
        name=access_token_cookie(secure=True),
        security_scheme_in="cookie",
        description="The access token in a cookie, where tokens travel so; plain"
        f" `{access_token_cookie(secure=False)}` over HTTP.",
    ),
    "refreshTokenCookie": SecurityScheme(
        type="apiKey",
        name=SECURE_REFRESH_TOKEN_COOKIE,
        security_scheme_in="cookie",
        description="The refresh token in a cookie, where tokens travel so.",
    ),
    "client": SecurityScheme(
        type="http",
        scheme="basic",
        description="A client that IDENTITY_INTROSPECTION_CLIENTS names.",
    ),
}

_TAKEN: Final[Mapping[CredentialsKind, Requirements]] = {
    CredentialsKind.NONE: [{}],
    CredentialsKind.ACCESS_TOKEN: [
        {"bearer": []},
        {"accessTokenHeader": []},
        {"accessTokenCookie": []},
    ],
    CredentialsKind.CLIENT_SECRET: [{"client": []}],
}


def security_of(operation: Operation) -> Requirements:
    """Return what an operation requires of its caller."""
    access = operation.access
    roles = [] if access.role is None else [access.role]
    required = [dict.fromkeys(each, roles) for each in _TAKEN[access.credentials]]
    if operation.body is not None and operation.body.__name__ == "RefreshTokenPayload":
        return [*required, {"refreshTokenCookie": []}]
    return required
