"""End sessions and tokens that a restored database revives."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.sessions.sessions import EndReason
from identity_service.storage.database import Database, Work
from identity_service.storage.repositories import Repositories
from identity_service.usecases.keys.rotation import KeyRotation
from service_kit.clock import Clock

ID_MARGIN: Final = 1_000_000
"""How many ids may have been given since the backup."""

_BATCH: Final = 1000
"""Rows changed in one transaction."""

LEAST_GRACE: Final = timedelta(days=7)
"""How long people can keep an account at least which they wanted to be deleted."""

Write = Callable[[str], None]
"""Writes one line for the operator."""


@dataclass(frozen=True, slots=True)
class Restoring:
    """The work to be done once, before a restored database is used.

    No process may serve meanwhile. It may be run again after an interruption: what is
    done already is done again, or is nothing.
    """

    database: Database
    rotation: KeyRotation
    clock: Clock
    grace: timedelta

    async def restore(self, write: Write) -> None:
        """End all sessions and tokens, and have no id or name given a second time.

        Raises `DatabaseUnavailableError`: run it again.
        """
        self.database.is_usable = True  # the restore that has not ended is this one
        first_id = await self.database.write(
            lambda unit: unit.restoring.advance_user_ids(ID_MARGIN)
        )
        write(f"the next user has the id {first_id}")
        withdrawn, kid = await self.rotation.replace_all()
        write(f"signing keys withdrawn: {withdrawn}; signs now: {kid}")
        sessions = await self._end_sessions()
        write(f"sessions ended: {sessions}")
        grace = max(self.grace, LEAST_GRACE)
        postponed = await self._postpone_deletions(grace)
        write(
            f"accounts that are to be deleted, {grace.days} days from now: {postponed}"
        )
        letters = await self._repeated(lambda unit: unit.restoring.forget_mail(_BATCH))
        write(f"letters and tokens of mails forgotten: {letters}")
        lists = await self.database.write(lambda unit: unit.restoring.forget_lists())
        entries = await self._repeated(
            lambda unit: unit.restoring.forget_entries(_BATCH)
        )
        write(f"status lists forgotten: {lists}, with {entries} entries")
        await self.database.record(
            AuditEvent(
                action=Action.RESTORED,
                details={
                    "sessions_ended": sessions,
                    "deletions_postponed": postponed,
                    "keys_withdrawn": withdrawn,
                    "kid": kid,
                    "next_user_id": first_id,
                },
            )
        )

    async def _end_sessions(self) -> int:
        ended, after = 0, ""
        while True:
            work = partial(self._end_some, after)
            some, last = await self.database.write(work)
            ended += some
            if last is None:
                return ended
            after = last

    async def _end_some(self, after: str, unit: Repositories) -> tuple[int, str | None]:
        return await unit.restoring.end_sessions(after, EndReason.RESTORED, _BATCH)

    async def _postpone_deletions(self, grace: timedelta) -> int:
        """Give those who wanted to leave the whole grace to think better of it.

        Who has signed in after the backup has kept their account, and doesn't know that
        it is lost again.
        """
        now = self.clock()
        return await self._repeated(
            lambda unit: unit.restoring.postpone_deletions(now + grace, now, _BATCH)
        )

    async def _repeated(self, work: Work[int]) -> int:
        """Do a bounded work until it has nothing left; return how much was done."""
        done = 0
        while some := await self.database.write(work):
            done += some
        return done
