"""Sign in, refresh, sign out: the life of a session."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from identity_service.domain.accounts import Account
from identity_service.domain.audit import Action, AuditEvent, Detail
from identity_service.domain.errors import (
    InvalidCredentialsError,
    RefreshTokenExpiredError,
    RefreshTokenReusedError,
    SessionNotFoundError,
    UnknownRefreshTokenError,
)
from identity_service.domain.sessions import (
    Device,
    EndReason,
    Session,
    SessionRules,
    Verdict,
    judge,
)
from identity_service.security.refresh_tokens import (
    SESSION_ID_SIZE,
    RefreshToken,
    RefreshTokens,
)
from identity_service.storage.repositories import Repositories
from identity_service.usecases.access_tokens import AccessTokens, PreparedToken
from identity_service.usecases.audit import Audit
from identity_service.usecases.passwords import Passwords
from identity_service.usecases.ports import Database
from identity_service.usecases.session_turns import SessionTurns
from identity_service.usecases.throttling import Throttle
from service_kit.clock import Clock

FIRST_PARTY: Final = "first-party"
"""The gateway's own client id: who signs in with a password does so through it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPair:
    """An access token and the refresh token that gets the next one."""

    access_token: str
    refresh_token: str
    expires_in: int
    """Seconds the access token lives."""


class Sessions:
    """The sessions of all users."""

    def __init__(
        self,
        database: Database,
        *,
        passwords: Passwords,
        throttle: Throttle,
        access_tokens: AccessTokens,
        refresh_tokens: RefreshTokens,
        audit: Audit,
        clock: Clock,
        rules: SessionRules,
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._throttle = throttle
        self._access_tokens = access_tokens
        self._refresh_tokens = refresh_tokens
        self._audit = audit
        self._clock = clock
        self._rules = rules
        self._turns = SessionTurns()

    async def sign_in(
        self, username: str, password: str, device: Device
    ) -> tuple[Account, TokenPair]:
        """Begin a session on a device, whatever other sessions there are.

        Raises
        ------
        InvalidCredentialsError
            Unknown user, wrong password, disabled account: nobody can tell which.
        TooManyAttemptsError, HashingBusyError
            Not now.
        """
        verified = await self._passwords.authenticate(username, password, device)
        prepared = await self._access_tokens.prepare()
        session = self._new_session(verified.id, device)

        async def work(unit: Repositories) -> Account | None:
            account = await unit.users.lock(verified.id)
            if account is None or not account.still_admits(verified):
                return None
            await unit.sessions.add(session)
            await prepared.record(unit, account.id, session.id)
            await self._audit.append(
                unit,
                AuditEvent(
                    action=Action.SIGNED_IN,
                    actor_id=account.id,
                    subject_id=account.id,
                    address=device.address,
                    details={"session": session.id},
                ),
            )
            return account

        account = await self._database.write(work)
        if account is None:
            raise InvalidCredentialsError
        return account, self._pair(prepared, account, session.id, session.generation)

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

    async def sign_out(
        self,
        untrusted_token: str | None,
        session_id: str | None,
        device: Device,
        *,
        reason: EndReason = EndReason.SIGNED_OUT,
    ) -> None:
        """End the session of a refresh token, spent or not, or else the session named.

        Does nothing where there is none.
        """
        token = self._refresh_tokens.read(untrusted_token or "")
        ending = session_id if token is None else token.session_id
        if ending is not None:
            await self._turns.share(
                ending,
                reason,
                lambda: self._database.write(
                    lambda unit: self._end(unit, ending, reason, device)
                ),
            )

    async def live(self, user_id: int) -> list[Session]:
        """Return a user's live sessions, the latest used first."""
        now = self._clock()
        return await self._database.read(lambda unit: unit.sessions.live(user_id, now))

    async def end_one(self, user_id: int, session_id: str, device: Device) -> None:
        """End one of a user's own sessions.

        Raises
        ------
        SessionNotFoundError
        """

        async def work(unit: Repositories) -> bool:
            session = await unit.sessions.get(session_id)
            if session is None or session.user_id != user_id:
                return False
            return await self._end(unit, session_id, EndReason.ENDED_BY_USER, device)

        if not await self._database.write(work):
            raise SessionNotFoundError

    async def end_others(self, user_id: int, kept: str, device: Device) -> int:
        """End a user's sessions but the one he uses; return how many."""

        async def work(unit: Repositories) -> int:
            now = self._clock()
            reason = EndReason.ENDED_BY_USER
            ended = await unit.sessions.end_all(user_id, reason, now, but=kept)
            await unit.access_tokens.revoke_of_user(user_id, now, but_session=kept)
            if ended:
                await self._audit.append(
                    unit, session_ended(user_id, reason, device, {"sessions": ended})
                )
            return ended

        return await self._database.write(work)

    async def _refresh(self, token: RefreshToken, device: Device) -> TokenPair:
        await self._throttle.reserve_refresh_of(token.session_id)
        prepared = await self._access_tokens.prepare()
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
            case account, generation, recorded:
                return self._pair(recorded, account, token.session_id, generation)

    async def _rotate(
        self,
        unit: Repositories,
        token: RefreshToken,
        prepared: PreparedToken,
        device: Device,
    ) -> tuple[Account, int, PreparedToken] | Verdict | None:
        """Return what the next pair is made of, or why there is none."""
        now, generation = self._clock(), token.generation + 1
        if self._rules.tokens_are_spent:
            lives = await unit.sessions.rotate(
                token.session_id, token.generation, now, self._rules
            )
        else:
            generation = token.generation
            lives = await unit.sessions.touch(
                token.session_id, generation, now, self._rules
            )
        if not lives:
            verdict = await self._judge(unit, token, device)
            if verdict is not Verdict.REPLAYED:
                return verdict
        account = await unit.users.get_by_session(token.session_id)
        if account is None or account.disabled_at is not None:
            return None
        recorded = None if lives else await prepared.shared(unit, token.session_id)
        if recorded is None:
            await prepared.record(unit, account.id, token.session_id)
        return account, generation, recorded or prepared

    async def _judge(
        self, unit: Repositories, token: RefreshToken, device: Device
    ) -> Verdict | None:
        """Judge a token that the atomic statement refused; end what was reused."""
        session = await unit.sessions.lock(token.session_id)
        if session is None:
            return None
        verdict = judge(session, token.generation, self._clock(), self._rules)
        if verdict is Verdict.REUSED:
            await self._end(unit, session.id, EndReason.REFRESH_TOKEN_REUSED, device)
        return verdict

    async def _end(
        self, unit: Repositories, session_id: str, reason: EndReason, device: Device
    ) -> bool:
        """End a session and revoke its tokens; return whether it had not ended."""
        now = self._clock()
        if not await unit.sessions.end(session_id, reason, now):
            return False
        await unit.access_tokens.revoke_of_session(session_id, now)
        session = await unit.sessions.get(session_id)
        if session is not None:
            await self._audit.append(
                unit,
                session_ended(session.user_id, reason, device, {"session": session_id}),
            )
        return True

    def _new_session(self, user_id: int, device: Device) -> Session:
        now = self._clock()
        return Session(
            id=secrets.token_hex(SESSION_ID_SIZE),
            user_id=user_id,
            client_id=FIRST_PARTY,
            generation=1,
            device=device.name,
            address=device.address,
            created_at=now,
            rotated_at=now,
            idle_expires_at=now + self._rules.idle_lifetime,
            expires_at=now + self._rules.lifetime,
            ended_at=None,
        )

    def _pair(
        self,
        prepared: PreparedToken,
        account: Account,
        session_id: str,
        generation: int,
    ) -> TokenPair:
        access_token = self._access_tokens.write(
            prepared, account, session_id, FIRST_PARTY
        )
        refresh_token = self._refresh_tokens.write(RefreshToken(session_id, generation))
        return TokenPair(
            access_token=access_token,
            refresh_token=refresh_token,
            expires_in=prepared.lifetime_seconds,
        )


def session_ended(
    user_id: int, reason: EndReason, device: Device, details: Mapping[str, Detail]
) -> AuditEvent:
    """Return the event of one session or several of a user having ended."""
    reused = reason is EndReason.REFRESH_TOKEN_REUSED
    return AuditEvent(
        action=Action.REFRESH_TOKEN_REUSED if reused else Action.SESSION_ENDED,
        actor_id=None if reused else user_id,
        subject_id=user_id,
        address=device.address,
        details={"reason": reason.value, **details},
    )
