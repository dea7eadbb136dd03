"""Issue token pairs: an access token, and the refresh token that gets the next one."""

from dataclasses import dataclass

from identity_service.domain.authentication import Authentication
from identity_service.domain.roles import RoleName
from identity_service.domain.status_entries import StatusEntry
from identity_service.domain.users import User
from identity_service.security.refresh_tokens import RefreshToken, RefreshTokens
from identity_service.usecases.sessions.access_tokens import AccessTokens, PreparedToken


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPair:
    """An access token and the refresh token that gets the next one."""

    access_token: str
    refresh_token: str
    expires_in: int
    """Seconds the access token lives."""
    roles: tuple[RoleName, ...]
    """Those that the access token names."""


class TokenPairs:
    """Issues token pairs, in the same two steps as `AccessTokens`."""

    def __init__(
        self, access_tokens: AccessTokens, refresh_tokens: RefreshTokens
    ) -> None:
        self._access_tokens = access_tokens
        self._refresh_tokens = refresh_tokens

    async def prepare(self) -> PreparedToken:
        """Return what the next pair needs; see `AccessTokens.prepare`."""
        return await self._access_tokens.prepare()

    def write(  # noqa: PLR0917 - what a token is made of, in order
        self,
        prepared: PreparedToken,
        user: User,
        session_id: str,
        generation: int,
        entry: StatusEntry,
        authentication: Authentication,
    ) -> TokenPair:
        """Return the pair of a session's generation."""
        refresh_token = self._refresh_tokens.write(RefreshToken(session_id, generation))
        return TokenPair(
            access_token=self._access_tokens.write(
                prepared, user, session_id, entry, authentication
            ),
            refresh_token=refresh_token,
            expires_in=prepared.lifetime_seconds,
            roles=self._access_tokens.roles(user, authentication),
        )
