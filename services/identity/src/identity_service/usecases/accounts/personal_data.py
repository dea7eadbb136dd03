"""Export the personal data of users."""

from dataclasses import dataclass, replace
from typing import Final

from identity_service.domain.accounts.users import User
from identity_service.domain.audit import Action, AuditEvent, AuditQuery, AuditRecord
from identity_service.domain.factors import Factors, Passkey
from identity_service.domain.mail import MailKind, StoredLetter
from identity_service.domain.one_time_tokens import StoredToken
from identity_service.domain.sessions.sessions import Caller, Session
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.usecases.audit import Audit
from identity_service.usecases.limits.throttling import Throttle

_PAGE: Final = 500
"""Audit events read in one transaction."""

MOST_EVENTS: Final = 20_000
"""Audit events in one response, the newest: some 10 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalData:
    """All data that is stored about a user."""

    user: User
    sessions: list[Session]
    tokens: list[StoredToken]
    letters: list[StoredLetter]
    factors: Factors
    passkeys: list[Passkey]
    events: list[AuditRecord]


@dataclass(frozen=True, slots=True)
class PersonalDataExports:
    """Collects the data that is stored about users."""

    database: Database
    throttle: Throttle
    audit: Audit

    async def export(self, caller: Caller) -> PersonalData:
        """Return all data about the caller, and record the export.

        Raises `UserNotFoundError` or `TooManyAttemptsError`.
        """
        user_id = caller.user_id
        await self.throttle.reserve_export(user_id)
        event = AuditEvent.by_caller(Action.EXPORTED, caller)
        await self.database.record(event)
        events = await self._events(user_id)

        async def look(unit: Repositories) -> PersonalData:
            letters = await unit.outbox.of_user(user_id)
            return PersonalData(
                user=await unit.users.get_existing(user_id),
                sessions=await unit.sessions.all_of(user_id),
                tokens=await unit.one_time_tokens.of_user(user_id),
                letters=list(filter(_is_to_own_address, letters)),
                factors=await unit.factors.of(user_id),
                passkeys=await unit.passkeys.of(user_id),
                events=events,
            )

        return await self.database.read(look)

    async def _events(self, user_id: int) -> list[AuditRecord]:
        events: list[AuditRecord] = []
        before_id = None
        while len(events) < MOST_EVENTS:
            page = await self.audit.search(
                AuditQuery(limit=_PAGE, before_id=before_id, about_id=user_id)
            )
            events += (_of_user(user_id, event) for event in page)
            if len(page) < _PAGE:
                break
            before_id = page[-1].id
        return events


def _is_to_own_address(letter: StoredLetter) -> bool:
    """Return whether a letter is to the user, not to an address they want to have.

    One is posted there if nobody has the address, which they must not learn.
    """
    return letter.kind != MailKind.EMAIL_CHANGE


def _of_user(user_id: int, event: AuditRecord) -> AuditRecord:
    """Return an event without the address of another user, who acted on this one."""
    is_anothers = event.actor_id not in {None, user_id}
    return replace(event, address="") if is_anothers else event
