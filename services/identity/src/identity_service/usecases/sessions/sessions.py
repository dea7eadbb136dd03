"""Show and end sessions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from identity_service.domain.audit import Action, AuditEvent, Detail
from identity_service.domain.errors import SessionNotFoundError
from identity_service.domain.sessions.sessions import Caller, Device, EndReason, Session
from identity_service.security.refresh_tokens import RefreshTokens
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.usecases.sessions.turns import SessionTurns


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions of all users."""

    database: Database
    refresh_tokens: RefreshTokens
    turns: SessionTurns
    most: int

    async def sign_out(
        self,
        untrusted_tokens: Iterable[str],
        session_id: str | None,
        device: Device,
        *,
        reason: EndReason = EndReason.SIGNED_OUT,
    ) -> None:
        """End the sessions of refresh tokens, spent or not, and the session named.

        Does nothing where there is none.
        """
        tokens = map(self.refresh_tokens.read, untrusted_tokens)
        ending = {token.session_id for token in tokens if token is not None}
        if session_id is not None:
            ending.add(session_id)
        for each in sorted(ending):
            await self._sign_out_of(each, reason, device)

    async def _sign_out_of(
        self, session_id: str, reason: EndReason, device: Device
    ) -> None:
        await self.turns.share(
            session_id,
            reason,
            lambda: self.database.write(
                lambda unit: self.end_within(unit, session_id, reason, device)
            ),
        )

    async def live(self, user_id: int) -> list[Session]:
        """Return a user's live sessions, the latest used first."""
        most = self.most
        return await self.database.read(lambda unit: unit.sessions.live(user_id, most))

    async def end_one(self, caller: Caller, session_id: str) -> None:
        """End one of the caller's sessions, or raise `SessionNotFoundError`."""

        async def work(unit: Repositories) -> None:
            session = await unit.sessions.get(session_id)
            is_theirs = session is not None and session.user_id == caller.user_id
            if not is_theirs or not await self.end_within(
                unit, session_id, EndReason.ENDED_BY_USER, caller.device
            ):
                raise SessionNotFoundError

        await self.database.write(work)

    async def end_others(self, caller: Caller) -> int:
        """End the caller's other sessions; return how many."""
        user_id, kept = caller.user_id, caller.session_id

        async def work(unit: Repositories) -> int:
            reason = EndReason.ENDED_BY_USER
            ended = await unit.sessions.end_all(user_id, reason, but=kept)
            if ended:
                details = {"sessions": ended}
                unit.record(_session_ended(user_id, reason, caller.device, details))
            return ended

        return await self.database.write(work)

    async def end_within(
        self, unit: Repositories, session_id: str, reason: EndReason, device: Device
    ) -> bool:
        """End a session and revoke its tokens, within the caller's transaction.

        Returns whether it had not ended before.
        """
        session = await unit.sessions.end(session_id, reason)
        if session is None:
            return False
        unit.record(
            _session_ended(session.user_id, reason, device, {"session": session_id})
        )
        return True


def _session_ended(
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
