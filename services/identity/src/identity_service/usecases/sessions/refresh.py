"""Refresh: spend a refresh token for the next token pair."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from identity_service.domain.accounts.users import User
from identity_service.domain.errors import (
    DatabaseUnavailableError,
    IdentityError,
    RefreshTokenExpiredError,
    RefreshTokenReusedError,
    RequestTooOldError,
    UnknownRefreshTokenError,
)
from identity_service.domain.sessions.authentication import Authentication
from identity_service.domain.sessions.interruptions import Interruptions
from identity_service.domain.sessions.sessions import (
    Device,
    EndReason,
    Session,
    SessionRules,
    Verdict,
    judge,
)
from identity_service.domain.sessions.status_entries import StatusEntry
from identity_service.security.refresh_tokens import RefreshToken, RefreshTokens
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.usecases.limits.throttling import Throttle
from identity_service.usecases.sessions.sessions import Sessions
from identity_service.usecases.sessions.status_entries import StatusEntries, kept_entry
from identity_service.usecases.sessions.token_pairs import (
    PreparedToken,
    TokenPair,
    TokenPairs,
)
from identity_service.usecases.sessions.turns import SessionTurns


@dataclass(frozen=True, slots=True)
class Refreshes:
    """Continues sessions."""

    database: Database
    sessions: Sessions
    turns: SessionTurns
    refresh_tokens: RefreshTokens
    entries: StatusEntries
    token_pairs: TokenPairs
    throttle: Throttle
    rules: SessionRules
    interruptions: Interruptions
    """When refreshes failed for want of the database."""
    outcomes: Counter[str] = field(default_factory=Counter, init=False)
    """What refresh tokens came to, by verdict; `continued` gave a new one."""

    async def refresh(
        self, untrusted_tokens: tuple[str, ...], device: Device
    ) -> TokenPair:
        """Spend the first of several refresh tokens that has a successor.

        Return the next pair.

        Raises `UnknownRefreshTokenError`, `RefreshTokenReusedError`,
        `RefreshTokenExpiredError`: there is no next one, and after reuse the session is
        over; `TooManyAttemptsError`: not now; `RequestTooOldError`: nobody waits for it
        any more, so nothing is spent.
        """
        refusal: IdentityError = UnknownRefreshTokenError()
        for number, token in enumerate(self._newest(untrusted_tokens)):
            try:
                return await self._spend(token, device)
            except (UnknownRefreshTokenError, RefreshTokenExpiredError) as error:
                refusal = refusal if number else error
        raise refusal

    def _newest(self, untrusted_tokens: Iterable[str]) -> Iterable[RefreshToken | None]:
        """Return one token a session: an older one would be taken for a stolen one.

        Where none is ours, None stands for all.
        """
        newest: dict[str, RefreshToken] = {}
        for token in map(self.refresh_tokens.read, untrusted_tokens):
            if token is not None:
                known = newest.get(token.session_id, token)
                is_newer = token.generation > known.generation
                newest[token.session_id] = token if is_newer else known
        return newest.values() or (None,)

    async def _spend(self, token: RefreshToken | None, device: Device) -> TokenPair:
        await self.throttle.reserve_refresh(device.address)
        if token is None:
            self.outcomes["unknown"] += 1
            raise UnknownRefreshTokenError
        # Without a grace each use is one of its own, and one alone succeeds.
        use = token.generation if self.rules.grace else object()
        while True:
            try:
                return await self.turns.share(
                    token.session_id, use, lambda: self._refresh(token, device)
                )
            except RequestTooOldError:
                if device.is_gone():
                    raise  # else it was shared with somebody who is
            except DatabaseUnavailableError:
                self.interruptions.note()
                raise

    async def _refresh(self, token: RefreshToken, device: Device) -> TokenPair:
        await self.throttle.reserve_refresh_of(token.session_id)
        prepared = await self.token_pairs.prepare()
        if device.is_gone():
            raise RequestTooOldError
        outcome = await self.database.write(
            lambda unit: self._rotate(unit, token, prepared, device)
        )
        self.outcomes[_name(outcome)] += 1
        match outcome:
            case Verdict.EXPIRED:
                raise RefreshTokenExpiredError
            case Verdict.REUSED:
                raise RefreshTokenReusedError
            case Verdict.ENDED | Verdict.REPLAYED | Verdict.LATE | None:
                raise UnknownRefreshTokenError
            case _Continued():
                return await self._pair(token.session_id, outcome)

    async def _rotate(
        self,
        unit: Repositories,
        token: RefreshToken,
        prepared: PreparedToken,
        device: Device,
    ) -> "_Continued | Verdict | None":
        """Return what the next pair is made of, or why there is none."""
        lives = await unit.sessions.prolong(
            token.session_id,
            token.generation,
            self.rules,
            prepared.expires_at,
        )
        if not lives:
            session = await unit.sessions.lock(token.session_id)
            verdict = await self._judge(unit, session, token, device)
            if session is None or verdict is not Verdict.REPLAYED:
                return verdict
            prepared = await self._repeated(unit, session, prepared)
        found = await unit.users.get_by_session(token.session_id)
        if found is None or found[0].disabled_at is not None:
            return None
        user, entry, authentication = found
        entry = await kept_entry(unit, token.session_id, entry, prepared.expires_at)
        generation = token.generation + (self.rules.tokens_are_spent or not lives)
        return _Continued(
            user,
            generation,
            entry,
            prepared,
            authentication,
            is_repeated=not lives,
        )

    async def _judge(
        self,
        unit: Repositories,
        session: Session | None,
        token: RefreshToken,
        device: Device,
    ) -> Verdict | None:
        """Judge a token that the atomic statement refused; end what was reused."""
        if session is None:
            return None
        now = unit.now()
        verdict = judge(
            session,
            token.generation,
            now,
            self.rules,
            began_at=now - device.waited(),
            interruption=self.interruptions.latest,
        )
        if verdict is Verdict.REUSED:
            await self.sessions.end_within(
                unit, session.id, EndReason.REFRESH_TOKEN_REUSED, device
            )
        return verdict

    async def _repeated(
        self, unit: Repositories, session: Session, prepared: PreparedToken
    ) -> PreparedToken:
        """Return the token with the end of the one it repeats, which the session has.

        If that one has expired, the new end is stored in the session.
        """
        expires_at = session.token_expires_at
        if expires_at is not None and expires_at > prepared.issued_at:
            return replace(prepared, expires_at=expires_at)
        if session.entry is not None:
            await unit.sessions.set_entry(
                session.id, session.entry, prepared.expires_at
            )
        return prepared

    async def _pair(self, session_id: str, continued: "_Continued") -> TokenPair:
        """Return the next pair, once session and user have what it names."""
        user, entry, prepared = continued.user, continued.entry, continued.prepared
        if entry is None or user.subject is None:
            given = await self.entries.give(user.id, session_id, prepared.expires_at)
            if given is None or given[0].disabled_at is not None:
                raise UnknownRefreshTokenError
            user, entry = given
        return self.token_pairs.write(
            prepared,
            user,
            session_id,
            continued.generation,
            entry,
            continued.authentication,
        )


def _name(outcome: "_Continued | Verdict | None") -> str:
    match outcome:
        case None:
            return "unknown"
        case Verdict():
            return outcome.name.lower()
        case _Continued(is_repeated=is_repeated):
            return "repeated" if is_repeated else "continued"


@dataclass(frozen=True, slots=True)
class _Continued:
    """A session that goes on, and what its next token pair is made of."""

    user: User
    generation: int
    entry: StatusEntry | None
    """None if the session has to get one first."""
    prepared: PreparedToken
    authentication: Authentication
    is_repeated: bool
    """Whether its token has been spent before, and gets the same successor again."""
