"""Issue access tokens, and verify those that are presented to identity itself."""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Self

from identity_service.domain.authentication import Authentication
from identity_service.domain.roles import RoleName
from identity_service.domain.sessions import Session
from identity_service.domain.status_entries import StatusEntry, list_name_of, list_uri
from identity_service.domain.users import User
from identity_service.security.jws import write_jws
from identity_service.security.key_material import SigningKey
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.usecases.keys.signing_keys import SigningKeys
from service_kit.clock import Clock
from service_kit.tokens import (
    ASSURANCE,
    AccessClaims,
    InvalidTokenError,
    RefusalReason,
    TokenVerifier,
)

FIRST_PARTY: Final = "first-party"
"""The gateway's own client id: who signs in with a password does so through it."""

_JTI_SIZE: Final = 16
"""Random bytes: no two tokens share a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedToken:
    """All that a token needs from outside the transaction that issues it."""

    key: SigningKey
    issued_at: datetime
    expires_at: datetime

    @property
    def lifetime_seconds(self) -> int:
        """How long the token is good, from when it is issued."""
        return int((self.expires_at - self.issued_at).total_seconds())

    def until(self, expires_at: datetime) -> Self:
        """Return the token with another end."""
        return replace(self, expires_at=expires_at)


class AccessTokens:
    """Issues access tokens (RFC 9068) in two steps, so that no transaction waits.

    `prepare` before the transaction that allows the token, `write` after it.
    """

    def __init__(
        self,
        keys: SigningKeys,
        clock: Clock,
        *,
        issuer: str,
        audience: str,
        media_type: str,
        lifetime: timedelta,
        second_factor_roles: frozenset[RoleName],
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._second_factor_roles = second_factor_roles
        self._issuer = issuer
        self._audience = audience
        self._media_type = media_type
        self._lifetime = lifetime

    async def prepare(self) -> PreparedToken:
        """Return what the next token needs.

        Raises `SigningKeyUnavailableError` or `DatabaseUnavailableError`.
        """
        key = await self._keys.active()
        issued_at = self._clock().replace(microsecond=0)
        return PreparedToken(
            key=key,
            issued_at=issued_at,
            expires_at=issued_at + self._lifetime,
        )

    def roles(self, user: User, authentication: Authentication) -> tuple[RoleName, ...]:
        """Return the roles that a user's token names after such a sign-in."""
        return user.usable_roles(authentication, self._second_factor_roles)

    def write(
        self,
        prepared: PreparedToken,
        user: User,
        session_id: str,
        entry: StatusEntry,
        authentication: Authentication,
    ) -> str:
        """Return the token, which speaks for the user as they are now.

        ASCII only: no user name, no e-mail address.
        """
        status_uri = list_uri(self._issuer, entry.list_name)
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": subject_of(user, entry),
            "client_id": FIRST_PARTY,
            "iat": int(prepared.issued_at.timestamp()),
            "exp": int(prepared.expires_at.timestamp()),
            "jti": secrets.token_urlsafe(_JTI_SIZE),
            "sid": session_id,
            "roles": sorted(self.roles(user, authentication)),
            "auth_time": int(authentication.at.timestamp()),
            "amr": authentication.amr,
            "acr": ASSURANCE[authentication.factors],
            "status": {"status_list": {"idx": entry.idx, "uri": status_uri}},
        }
        return write_jws(claims, prepared.key, media_type=self._media_type)


def subject_of(user: User, entry: StatusEntry) -> str:
    """Return what a user's tokens call them.

    Replicas of version 0003, which know numbered lists alone, know users by their ids.
    """
    if entry.list_number is not None or user.subject is None:
        return str(user.id)
    return user.subject


@dataclass(frozen=True, slots=True)
class Bearer:
    """What an access token says, and whose it is."""

    claims: AccessClaims
    user_id: int
    session_id: str
    authentication: Authentication
    """As its session has it, which may be later than the token."""


class Bearers:
    """Verifies access tokens at their issuer, which checks the session itself."""

    def __init__(
        self, database: Database, verifier: TokenVerifier, *, issuer: str
    ) -> None:
        self._database = database
        self._verifier = verifier
        self._issuer = issuer

    async def verify(self, untrusted_token: str) -> Bearer:
        """Return who bears the token, or refuse it.

        Raises `InvalidTokenError`: it is not to be trusted, or its session has ended,
        is another's, or has been given another status entry; `KeysUnavailableError`,
        `DatabaseUnavailableError`: it cannot be judged now.
        """
        claims = await self._verifier.verify(untrusted_token)
        entry = self._entry(claims)
        if claims.session_id is None or entry is None:
            raise InvalidTokenError("is of no session", RefusalReason.STATUS)
        session_id = claims.session_id
        session, subject = await self._database.read(
            lambda unit: _session_of(unit, session_id, entry)
        )
        if claims.subject not in {subject, str(session.user_id)}:
            raise InvalidTokenError("its session is another's", RefusalReason.STATUS)
        return Bearer(claims, session.user_id, session_id, session.authentication)

    def _entry(self, claims: AccessClaims) -> StatusEntry | None:
        if claims.status is None:
            return None
        name = list_name_of(self._issuer, claims.status.uri)
        return None if name is None else StatusEntry(name, claims.status.idx)


async def _session_of(
    unit: Repositories, session_id: str, entry: StatusEntry
) -> tuple[Session, str | None]:
    found = await unit.sessions.get_with_subject(session_id)
    if found is None or found[0].ended_at is not None:
        raise InvalidTokenError("its session has ended", RefusalReason.REVOKED)
    session, number = found[0], entry.list_number
    if session.entry != entry and not (
        number is not None
        and await unit.access_tokens.is_live(number, entry.idx, session_id)
    ):
        raise InvalidTokenError("revoked", RefusalReason.REVOKED)
    return found
