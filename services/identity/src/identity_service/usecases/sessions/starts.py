"""Begin the sessions of users who have proved who they are."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from identity_service.domain.accounts.users import User
from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.errors import InvalidCredentialsError
from identity_service.domain.sessions.authentication import Authentication, Method
from identity_service.domain.sessions.sessions import Device, Session, SessionRules
from identity_service.domain.sessions.status_entries import StatusEntry
from identity_service.security.refresh_tokens import SESSION_ID_SIZE
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.usecases.sessions.status_entries import StatusEntries, add_session
from identity_service.usecases.sessions.token_pairs import (
    FIRST_PARTY,
    TokenPair,
    TokenPairs,
)
from service_kit.clock import Clock

Spend = Callable[[Repositories], Awaitable[bool]]
"""Spends, within a transaction, what serves once; returns False if it is spent."""


async def spend_nothing(_: Repositories) -> bool:
    """Spend nothing: what was shown is known, and is not used up."""
    return True


@dataclass(frozen=True, slots=True)
class SessionStarts:
    """Begins sessions, after any kind of authentication."""

    database: Database
    entries: StatusEntries
    token_pairs: TokenPairs
    clock: Clock
    rules: SessionRules

    async def start(
        self,
        verified: User,
        device: Device,
        methods: frozenset[Method],
        *,
        spend: Spend = spend_nothing,
    ) -> tuple[User, TokenPair]:
        """Begin a session on a device; the least recently used makes room for it.

        ``verified`` is the user as they were when they proved it, by ``methods``.

        Raises `InvalidCredentialsError`, and records it: the user has been disabled,
        has changed their password, or has got a second factor that they did not show,
        since then; or there is nothing to ``spend`` any more.
        """
        prepared = await self.token_pairs.prepare()
        entry = await self.entries.allocate()
        session = self._new_session(
            verified.id, device, methods, entry, prepared.expires_at
        )

        async def work(unit: Repositories) -> User | None:
            user = await unit.users.lock(verified.id)
            if (
                user is None
                or not user.still_admits(verified)
                or not await _suffices(unit, session)
                or not await spend(unit)
            ):
                unit.record(_refused(session))
                return None
            if user.subject is None:
                user = await unit.users.give_subject(user.id) or user
            await add_session(unit, session)
            ended = await unit.sessions.end_surplus(user.id, self.rules.most)
            if user.deletion_due_at is not None:
                await self._keep(unit, user.id, device)
            unit.record(_signed_in(session, ended))
            return user

        user = await self.database.write(work)
        if user is None:
            raise InvalidCredentialsError
        return user, self.token_pairs.write(
            prepared,
            user,
            session.id,
            session.generation,
            entry,
            session.authentication,
        )

    async def _keep(self, unit: Repositories, user_id: int, device: Device) -> None:
        """Keep an account whose owner has signed in after they wanted it deleted."""
        await unit.users.set_deletion_due_at(user_id, None)
        unit.record(AuditEvent.by_user(Action.DELETION_CANCELLED, user_id, device))

    def _new_session(
        self,
        user_id: int,
        device: Device,
        methods: frozenset[Method],
        entry: StatusEntry,
        token_expires_at: datetime,
    ) -> Session:
        now, rules = self.clock(), self.rules
        return Session(
            id=secrets.token_hex(SESSION_ID_SIZE),
            user_id=user_id,
            client_id=FIRST_PARTY,
            generation=1,
            device=device.name,
            address=device.address,
            created_at=now,
            rotated_at=now,
            idle_expires_at=now + min(rules.idle_lifetime, rules.lifetime),
            expires_at=now + rules.lifetime,
            ended_at=None,
            entry=entry,
            token_expires_at=token_expires_at,
            authentication=Authentication(now, methods),
        )


async def _suffices(unit: Repositories, session: Session) -> bool:
    """Return whether a session began with as many factors as its user has."""
    if session.authentication.factors > 1:
        return True
    return not (await unit.factors.of(session.user_id)).kinds


def _refused(session: Session) -> AuditEvent:
    """Return the event of a session that may not begin."""
    return AuditEvent.without_actor(
        Action.SIGN_IN_REFUSED,
        session.user_id,
        session.address,
        methods=_methods(session),
    )


def _methods(session: Session) -> str:
    return " ".join(session.authentication.amr)


def _signed_in(session: Session, ended: int) -> AuditEvent:
    """Return the event of a session that began, for which others may have ended."""
    return AuditEvent(
        action=Action.SIGNED_IN,
        actor_id=session.user_id,
        subject_id=session.user_id,
        address=session.address,
        details={"session": session.id, "methods": _methods(session)}
        | ({"sessions_ended": ended} if ended else {}),
    )
