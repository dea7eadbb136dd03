"""Issue token pairs: an access token, and the refresh token that gets the next one."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from identity_service.domain.accounts.roles import RoleName
from identity_service.domain.accounts.users import User
from identity_service.domain.sessions.authentication import Authentication
from identity_service.domain.sessions.status_entries import StatusEntry, list_uri
from identity_service.security.key_material import SigningKey, write_jws
from identity_service.security.refresh_tokens import RefreshToken, RefreshTokens
from identity_service.usecases.keys.signing_keys import SigningKeys
from service_kit.clock import Clock
from service_kit.tokens import ASSURANCE

FIRST_PARTY: Final = "first-party"
"""The gateway's own client id: who signs in with a password does so through it."""

_JTI_SIZE: Final = 16
"""Random bytes: no two tokens share a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPair:
    """An access token and the refresh token that gets the next one."""

    access_token: str
    refresh_token: str
    expires_in: int
    """Seconds the access token lives."""
    roles: tuple[RoleName, ...]
    """Those that the access token names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedToken:
    """All that a pair needs from outside the transaction that allows it."""

    key: SigningKey
    issued_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class TokenPairs:
    """Issues token pairs in two steps, so that no transaction waits.

    `prepare` before the transaction that allows the pair, `write` after it.
    """

    keys: SigningKeys
    refresh_tokens: RefreshTokens
    clock: Clock
    issuer: str
    audience: str
    media_type: str
    lifetime: timedelta
    second_factor_roles: frozenset[RoleName]

    async def prepare(self) -> PreparedToken:
        """Return what the next pair needs.

        Raises `SigningKeyUnavailableError` or `DatabaseUnavailableError`.
        """
        key = await self.keys.active()
        issued_at = self.clock().replace(microsecond=0)
        return PreparedToken(
            key=key, issued_at=issued_at, expires_at=issued_at + self.lifetime
        )

    def write(  # noqa: PLR0917 - what a token is made of, in order
        self,
        prepared: PreparedToken,
        user: User,
        session_id: str,
        generation: int,
        entry: StatusEntry,
        authentication: Authentication,
    ) -> TokenPair:
        """Return the pair of a session's generation, for the user as they are now.

        The access token (RFC 9068) is ASCII: no user name, no e-mail address.
        """
        roles = user.usable_roles(authentication, self.second_factor_roles)
        status_uri = list_uri(self.issuer, entry.list_name)
        claims = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": _subject_of(user, entry),
            "client_id": FIRST_PARTY,
            "iat": int(prepared.issued_at.timestamp()),
            "exp": int(prepared.expires_at.timestamp()),
            "jti": secrets.token_urlsafe(_JTI_SIZE),
            "sid": session_id,
            "roles": sorted(roles),
            "auth_time": int(authentication.at.timestamp()),
            "amr": authentication.amr,
            "acr": ASSURANCE[authentication.factors],
            "status": {"status_list": {"idx": entry.idx, "uri": status_uri}},
        }
        refresh_token = self.refresh_tokens.write(RefreshToken(session_id, generation))
        lifetime = prepared.expires_at - prepared.issued_at
        return TokenPair(
            access_token=write_jws(claims, prepared.key, media_type=self.media_type),
            refresh_token=refresh_token,
            expires_in=int(lifetime.total_seconds()),
            roles=roles,
        )


def _subject_of(user: User, entry: StatusEntry) -> str:
    """Return what a user's tokens call them.

    Replicas of version 0003, which know numbered lists alone, know users by their ids.
    """
    if entry.list_number is not None or user.subject is None:
        return str(user.id)
    return user.subject
