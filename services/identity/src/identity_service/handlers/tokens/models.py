"""What is published about tokens: keys, status lists, and introspection.

The documents are made elsewhere; these models say what is in them.
"""

from typing import Annotated

from pydantic import BaseModel

from identity_service.handlers.schemas import Words, described, text

Url = Annotated[str, text(2048, "https://id.example/oauth2/revoke", format="uri")]
Seconds = Annotated[
    int, described(format="int64", minimum=0, maximum=2**40, example=1_790_000_000)
]
Base64Url = Annotated[str, text(1024, "AQAB", pattern="^[A-Za-z0-9_-]+$")]


class JwkBody(BaseModel):
    """A verification key."""

    kty: Annotated[str, described(const="RSA")]
    use: Annotated[str, described(const="sig")]
    alg: Annotated[str, described(const="RS256")]
    kid: Annotated[str, text(43, "0" * 43, pattern="^[A-Za-z0-9_-]{43}$")]
    n: Base64Url
    e: Base64Url


class JwksBody(BaseModel):
    """A JWK Set."""

    keys: Annotated[list[JwkBody], described(maxItems=100)]


class StatusListsBody(BaseModel):
    """The addresses of all status lists."""

    status_lists: Annotated[list[Url], described(maxItems=100_000)]


class MetadataBody(BaseModel):
    """The addresses of the issuer, and what it supports."""

    issuer: Url
    jwks_uri: Url
    response_types_supported: Words
    grant_types_supported: Words
    subject_types_supported: Words
    id_token_signing_alg_values_supported: Words
    introspection_endpoint: Url
    introspection_endpoint_auth_methods_supported: Words
    revocation_endpoint: Url
    revocation_endpoint_auth_methods_supported: Words
    status_list_aggregation_endpoint: Url
    mailbox_endpoint: Url = ""
    """In development alone."""


class IntrospectionBody(BaseModel):
    """What a live token says; of any other, only that it is not active."""

    active: bool
    iss: Url = ""
    aud: Annotated[str, text(255, "content")] = ""
    sub: Annotated[str, text(64, "c3ViamVjdC1vZi1hbGljZQ")] = ""
    client_id: Annotated[str, text(64, "first-party")] = ""
    token_type: Annotated[str, described(enum=["Bearer", "refresh_token"])] = ""
    iat: Seconds = 0
    exp: Seconds = 0
    jti: Annotated[str, text(64, "0123456789abcdefABCDEF")] = ""
    sid: Annotated[str, text(32, "00112233445566778899aabbccddeeff")] = ""
    auth_time: Seconds = 0
    """When the user signed in, or proved again who they are (RFC 9470)."""
    acr: Annotated[str, text(64, "1")] = ""
    amr: Words = []
    roles: Annotated[
        list[Annotated[str, text(32, "user")]], described(maxItems=100)
    ] = []
