"""Verify an access token in any asyncio program."""

from aiohttp import ClientSession

from service_kit.tokens import (
    AccessClaims,
    RemoteKeySet,
    RemoteStatusLists,
    TokenVerifier,
)


async def verify_once(issuer: str, untrusted_token: str) -> AccessClaims:
    """Return the token's claims; raises InvalidTokenError if it can't be trusted."""
    jwks, lists = f"{issuer}/.well-known/jwks.json", f"{issuer}/api/auth/statuslists/"
    async with (
        ClientSession() as http,
        RemoteKeySet(jwks, http) as keys,
        RemoteStatusLists({lists: lists}, keys, http) as statuses,
    ):
        verifier = TokenVerifier(
            keys, issuer=issuer, audience="content", statuses=statuses
        )
        return await verifier.verify(untrusted_token)
