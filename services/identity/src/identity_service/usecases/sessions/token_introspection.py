"""Introspect and revoke tokens."""

from dataclasses import dataclass
from typing import Any

from identity_service.domain.errors import UnsupportedTokenTypeError
from identity_service.domain.sessions.sessions import Device, EndReason
from identity_service.security.refresh_tokens import RefreshToken, RefreshTokens
from identity_service.storage.database import Database
from identity_service.usecases.sessions.bearers import Bearers
from identity_service.usecases.sessions.sessions import Sessions
from service_kit.clock import Clock
from service_kit.tokens import AccessClaims, InvalidTokenError

_TOKEN_TYPES = frozenset({"access_token", "refresh_token"})


@dataclass(frozen=True, slots=True)
class TokenIntrospection:
    """Introspects and revokes the tokens that clients present."""

    database: Database
    bearers: Bearers
    refresh_tokens: RefreshTokens
    sessions: Sessions
    clock: Clock
    issuer: str
    audience: str

    async def introspect(self, untrusted_token: str) -> dict[str, Any] | None:
        """Return what a live token says (RFC 7662 section 2.2), None of any other."""
        refresh_token = self.refresh_tokens.read(untrusted_token)
        if refresh_token is not None:
            return await self._of_refresh_token(refresh_token)
        claims = await self._verified(untrusted_token)
        # The issuer's own clock made the token: no skew has to be allowed for.
        if claims is None or self.clock() >= claims.expires_at:
            return None
        return {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": claims.subject,
            "client_id": claims.client_id,
            "token_type": "Bearer",
            "iat": int(claims.issued_at.timestamp()),
            "exp": int(claims.expires_at.timestamp()),
            "jti": claims.token_id,
            "sid": claims.session_id,
            "roles": sorted(claims.roles),
            **_authentication(claims),
        }

    async def revoke(
        self, untrusted_token: str, token_type_hint: str | None, device: Device
    ) -> None:
        """End the session of a token (RFC 7009); do nothing for one that has none.

        The holder of a token may end what it stands for. With it end the session's
        other tokens, of both types.

        Raises `UnsupportedTokenTypeError`.
        """
        if token_type_hint is not None and token_type_hint not in _TOKEN_TYPES:
            raise UnsupportedTokenTypeError
        session_id = None
        if self.refresh_tokens.read(untrusted_token) is None:
            claims = await self._verified(untrusted_token)
            if claims is None:
                return
            session_id = claims.session_id
        await self.sessions.sign_out(
            (untrusted_token,), session_id, device, reason=EndReason.TOKEN_REVOKED
        )

    async def _verified(self, untrusted_token: str) -> AccessClaims | None:
        try:
            return (await self.bearers.verify(untrusted_token)).claims
        except InvalidTokenError:
            return None

    async def _of_refresh_token(self, token: RefreshToken) -> dict[str, Any] | None:
        found = await self.database.read(
            lambda unit: unit.sessions.get_with_subject(token.session_id)
        )
        if found is None:
            return None
        session, subject = found
        is_current = session.generation == token.generation
        if not is_current or not session.is_live(self.clock()):
            return None
        expires_at = min(session.idle_expires_at, session.expires_at)
        return {
            "iss": self.issuer,
            "sub": subject or str(session.user_id),
            "client_id": session.client_id,
            "token_type": "refresh_token",
            "iat": int(session.rotated_at.timestamp()),
            "exp": int(expires_at.timestamp()),
            "sid": session.id,
        }


def _authentication(claims: AccessClaims) -> dict[str, Any]:
    """Return what a token says of how its user signed in (RFC 9470 section 6.2)."""
    if claims.authenticated_at is None:
        return {}
    return {
        "auth_time": int(claims.authenticated_at.timestamp()),
        "amr": sorted(claims.methods),
        "acr": claims.assurance,
    }
