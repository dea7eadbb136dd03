"""Verify an access token in any asyncio program."""

from aiohttp import ClientSession

from service_kit.tokens import (
    AccessClaims,
    RemoteKeySet,
    RemoteStatusLists,
    TokenVerifier,
)


async def verify_once(
    issuer: str, untrusted_token: str, *, identity: str | None = None
) -> AccessClaims:
    """Return the token's claims; raises InvalidTokenError if it can't be trusted.

    ``identity`` is where the issuer is reached from here, if not by its own name.
    """
    fetched = identity or issuer
    lists = "/api/auth/statuslists/"
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
        return await verifier.verify(untrusted_token)
