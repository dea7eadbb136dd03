"""Sign in: begin a session."""

import secrets
from datetime import datetime

from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.errors import InvalidCredentialsError
from identity_service.domain.sessions import Device, Session, SessionRules
from identity_service.domain.status_entries import StatusEntry
from identity_service.domain.users import User
from identity_service.security.refresh_tokens import SESSION_ID_SIZE
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.usecases.access_tokens import FIRST_PARTY
from identity_service.usecases.audit import Audit
from identity_service.usecases.passwords import Passwords
from identity_service.usecases.session_entries import SessionEntries
from identity_service.usecases.token_pairs import TokenPair, TokenPairs
from service_kit.clock import Clock


class SignIns:
    """Begins sessions."""

    def __init__(
        self,
        database: Database,
        *,
        passwords: Passwords,
        entries: SessionEntries,
        token_pairs: TokenPairs,
        audit: Audit,
        clock: Clock,
        rules: SessionRules,
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._entries = entries
        self._token_pairs = token_pairs
        self._audit = audit
        self._clock = clock
        self._rules = rules

    async def sign_in(
        self, username: str, password: str, device: Device
    ) -> tuple[User, TokenPair]:
        """Begin a session on a device; the least recently used makes room for it.

        Raises
        ------
        InvalidCredentialsError
            Unknown user, wrong password, disabled user: nobody can tell which.
        TooManyAttemptsError, HashingBusyError
            Not now.
        """
        verified = await self._passwords.authenticate(username, password, device)
        prepared = await self._token_pairs.prepare()
        entry = await self._entries.allocate()
        session = self._new_session(verified.id, device, entry, prepared.expires_at)

        async def work(unit: Repositories) -> User | None:
            user = await unit.users.lock(verified.id)
            if user is None or not user.still_admits(verified):
                return None
            if user.subject is None:
                user = await unit.users.give_subject(user.id) or user
            await self._entries.begin(unit, session)
            ended = await unit.sessions.end_surplus(
                user.id, self._rules.most, session.created_at
            )
            await self._audit.append(
                unit,
                AuditEvent(
                    action=Action.SIGNED_IN,
                    actor_id=user.id,
                    subject_id=user.id,
                    address=device.address,
                    details={"session": session.id}
                    | ({"sessions_ended": ended} if ended else {}),
                ),
            )
            return user

        user = await self._database.write(work)
        if user is None:
            raise InvalidCredentialsError
        return user, self._token_pairs.write(
            prepared, user, session.id, session.generation, entry
        )

    def _new_session(
        self,
        user_id: int,
        device: Device,
        entry: StatusEntry,
        token_expires_at: datetime,
    ) -> Session:
        now, rules = self._clock(), self._rules
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
        )
