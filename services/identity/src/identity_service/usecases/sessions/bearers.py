"""Verify access tokens that are presented to identity itself."""

from dataclasses import dataclass

from identity_service.domain.sessions.authentication import Authentication
from identity_service.domain.sessions.sessions import Session
from identity_service.domain.sessions.status_entries import StatusEntry, list_name_of
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from service_kit.tokens import (
    AccessClaims,
    InvalidTokenError,
    RefusalReason,
    TokenVerifier,
)


@dataclass(frozen=True, slots=True)
class Bearer:
    """What an access token says, and whose it is."""

    claims: AccessClaims
    user_id: int
    session_id: str
    authentication: Authentication
    """As its session has it, which may be later than the token."""


@dataclass(frozen=True, slots=True)
class Bearers:
    """Verifies access tokens at their issuer, which checks the session itself."""

    database: Database
    verifier: TokenVerifier
    issuer: str

    async def verify(self, untrusted_token: str) -> Bearer:
        """Return who bears the token, or refuse it.

        Raises `InvalidTokenError`: it is not to be trusted, or its session has ended,
        is another's, or has been given another status entry; `KeysUnavailableError`,
        `DatabaseUnavailableError`: it cannot be judged now.
        """
        claims = await self.verifier.verify(untrusted_token)
        entry = self._entry(claims)
        if claims.session_id is None or entry is None:
            raise InvalidTokenError("is of no session", RefusalReason.STATUS)
        session_id = claims.session_id
        session, subject = await self.database.read(
            lambda unit: _session_of(unit, session_id, entry)
        )
        if claims.subject not in {subject, str(session.user_id)}:
            raise InvalidTokenError("its session is another's", RefusalReason.STATUS)
        return Bearer(claims, session.user_id, session_id, session.authentication)

    def _entry(self, claims: AccessClaims) -> StatusEntry | None:
        if claims.status is None:
            return None
        name = list_name_of(self.issuer, claims.status.uri)
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
