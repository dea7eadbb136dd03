"""Record changes of second factors: in the audit log, and by mail to their owner."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from identity_service.domain.audit import Action, AuditEvent, Detail
from identity_service.domain.mail import MailKind
from identity_service.domain.one_time_tokens import Purpose
from identity_service.domain.sessions.sessions import Caller
from identity_service.storage.repositories import Repositories
from identity_service.usecases.mail.one_time_tokens import OneTimeTokens

_MAILS: Final[Mapping[Action, MailKind]] = {
    Action.TOTP_ENROLLED: MailKind.TOTP_ENROLLED,
    Action.TOTP_REMOVED: MailKind.TOTP_REMOVED,
    Action.PASSKEY_ADDED: MailKind.PASSKEY_ADDED,
    Action.PASSKEY_REMOVED: MailKind.PASSKEY_REMOVED,
    Action.RECOVERY_CODES_MADE: MailKind.RECOVERY_CODES_MADE,
    Action.FACTORS_RESET: MailKind.FACTORS_RESET,
}
"""Of what changes who gets in."""


@dataclass(frozen=True, slots=True)
class FactorRecords:
    """Records changes within the transaction that makes them.

    The mail has a link with which the owner undoes a change that an attacker made
    (docs/decisions/0066).
    """

    tokens: OneTimeTokens

    async def by_caller(
        self,
        unit: Repositories,
        action: Action,
        caller: Caller,
        *,
        added: str | None = None,
        **details: Detail,
    ) -> None:
        """Record what a caller did to their own factors.

        ``added`` is what undoing it removes: `APP`, or the id of a passkey.
        """
        event = AuditEvent.by_caller(action, caller, **details)
        await self.append(unit, event, added=added)

    async def append(
        self, unit: Repositories, event: AuditEvent, *, added: str | None = None
    ) -> None:
        """Record what was done to the factors of the event's subject."""
        unit.record(event)
        kind, user_id = _MAILS.get(event.action), event.subject_id
        if kind is None or user_id is None or not self.tokens.outbox.has_server:
            return
        user = await unit.users.get(user_id)
        if user is None:
            return
        purpose = Purpose.FACTOR_CHANGE_UNDO
        await self.tokens.mail(unit, user, kind, purpose, about=added)
