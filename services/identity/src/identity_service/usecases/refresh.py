"""Refresh: spend a refresh token for the next token pair."""

from identity_service.domain.errors import (
    RefreshTokenExpiredError,
    RefreshTokenReusedError,
    UnknownRefreshTokenError,
)
from identity_service.domain.sessions import (
    Device,
    EndReason,
    SessionRules,
    Verdict,
    judge,
)
from identity_service.domain.users import User
from identity_service.security.refresh_tokens import RefreshToken, RefreshTokens
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.usecases.access_tokens import PreparedToken
from identity_service.usecases.session_turns import SessionTurns
from identity_service.usecases.sessions import Sessions
from identity_service.usecases.throttling import Throttle
from identity_service.usecases.token_pairs import TokenPair, TokenPairs
from service_kit.clock import Clock


class Refreshes:
    """Continues sessions."""

    def __init__(
        self,
        database: Database,
        *,
        sessions: Sessions,
        turns: SessionTurns,
        refresh_tokens: RefreshTokens,
        token_pairs: TokenPairs,
        throttle: Throttle,
        clock: Clock,
        rules: SessionRules,
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._turns = turns
        self._refresh_tokens = refresh_tokens
        self._token_pairs = token_pairs
        self._throttle = throttle
        self._clock = clock
        self._rules = rules

    async def refresh(self, untrusted_token: str, device: Device) -> TokenPair:
        """Spend a refresh token and return the next pair.

        Raises
        ------
        UnknownRefreshTokenError, RefreshTokenReusedError, RefreshTokenExpiredError
            There is no next one. After reuse, the session is over.
        TooManyAttemptsError
            Not now.
        """
        await self._throttle.reserve_refresh(device.address)
        token = self._refresh_tokens.read(untrusted_token)
        if token is None:
            raise UnknownRefreshTokenError
        return await self._turns.share(
            token.session_id,
            token.generation,
            lambda: self._refresh(token, device),
        )

    async def _refresh(self, token: RefreshToken, device: Device) -> TokenPair:
        await self._throttle.reserve_refresh_of(token.session_id)
        prepared = await self._token_pairs.prepare()
        outcome = await self._database.write(
            lambda unit: self._rotate(unit, token, prepared, device)
        )
        match outcome:
            case Verdict.EXPIRED:
                raise RefreshTokenExpiredError
            case Verdict.REUSED:
                raise RefreshTokenReusedError
            case Verdict.ENDED | Verdict.REPLAYED | None:
                raise UnknownRefreshTokenError
            case user, generation, recorded:
                return self._token_pairs.write(
                    recorded, user, token.session_id, generation
                )

    async def _rotate(
        self,
        unit: Repositories,
        token: RefreshToken,
        prepared: PreparedToken,
        device: Device,
    ) -> tuple[User, int, PreparedToken] | Verdict | None:
        """Return what the next pair is made of, or why there is none."""
        now, generation = self._clock(), token.generation + 1
        if self._rules.tokens_are_spent:
            lives = await unit.sessions.rotate(
                token.session_id, token.generation, now, self._rules
            )
        else:
            lives = await unit.sessions.touch(
                token.session_id, token.generation, now, self._rules
            )
            if lives:
                generation = token.generation
        if not lives:
            verdict = await self._judge(unit, token, device)
            if verdict is not Verdict.REPLAYED:
                return verdict
        user = await unit.users.get_by_session(token.session_id)
        if user is None or user.disabled_at is not None:
            return None
        recorded = None if lives else await prepared.shared(unit, token.session_id)
        if recorded is None:
            await prepared.record(unit, user.id, token.session_id)
        return user, generation, recorded or prepared

    async def _judge(
        self, unit: Repositories, token: RefreshToken, device: Device
    ) -> Verdict | None:
        """Judge a token that the atomic statement refused; end what was reused."""
        session = await unit.sessions.lock(token.session_id)
        if session is None:
            return None
        verdict = judge(session, token.generation, self._clock(), self._rules)
        if verdict is Verdict.REUSED:
            await self._sessions.end_within(
                unit, session.id, EndReason.REFRESH_TOKEN_REUSED, device
            )
        return verdict
