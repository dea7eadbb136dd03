"""What changes of a user's second factors have in common, their records included."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from identity_service.domain.audit import Action, AuditEvent, Detail
from identity_service.domain.mail import MailKind
from identity_service.domain.one_time_tokens import Purpose
from identity_service.domain.sessions.authentication import Method
from identity_service.domain.sessions.sessions import Caller, EndReason
from identity_service.security.recovery_codes import RecoveryCodes
from identity_service.storage.repositories import Repositories
from identity_service.storage.sessions.sessions import BATCH
from identity_service.usecases.mail.one_time_tokens import OneTimeTokens


async def renew_authentication(
    unit: Repositories, caller: Caller, methods: frozenset[Method]
) -> bool:
    """Record a proof in the caller's session; return False if the session has ended."""
    session = await unit.sessions.lock(caller.session_id)
    if session is None or session.ended_at is not None:
        return False
    renewed = session.authentication.renewed(unit.now(), methods)
    await unit.sessions.set_authentication(session.id, renewed)
    return True


async def end_weaker_sessions(unit: Repositories, caller: Caller) -> int:
    """End the other sessions of a caller without a factor, who is to get the first.

    They began with the password alone. Return how many.
    """
    if (await unit.factors.of(caller.user_id)).kinds:
        return 0
    return await unit.sessions.end_all(
        caller.user_id, EndReason.FACTOR_ADDED, but=caller.session_id
    )


async def give_recovery_codes(
    unit: Repositories, recovery_codes: RecoveryCodes, user_id: int
) -> list[str]:
    """Give a user new recovery codes in place of those they had; return them, once."""
    codes = recovery_codes.make()
    hashes = [recovery_codes.hash(user_id, code) for code in codes]
    await unit.factors.put_recovery_codes(user_id, hashes)
    return codes


async def forget_factors_if_none_is_left(unit: Repositories, user_id: int) -> None:
    """Remove recovery codes and two-factor sessions from a user without factors.

    Recovery codes go, and sessions count as begun with one factor from their next
    refresh on: roles that ask for two are not kept by removing the second.
    """
    if (await unit.factors.of(user_id)).kinds:
        return
    await unit.factors.remove_recovery_codes(user_id)
    for session in await unit.sessions.live(user_id, BATCH):
        if session.authentication.factors > 1:
            weaker = session.authentication.without_factors()
            await unit.sessions.set_authentication(session.id, weaker)


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
