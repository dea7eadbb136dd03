"""End whatever a restored database brings back to life."""

from collections.abc import Callable
from functools import partial
from typing import Final

from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.sessions import EndReason
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.usecases.audit import Audit
from identity_service.usecases.key_rotation import KeyRotation
from service_kit.clock import Clock

ID_MARGIN: Final = 1_000_000
"""How many ids may have been given since the backup."""

_BATCH: Final = 1000
"""Rows changed in one transaction."""

Say = Callable[[str], None]
"""Writes one line for the operator."""


class Restoring:
    """What is to be done once, before a restored database serves anybody.

    No process may serve meanwhile. It may be run again after an interruption: what is
    done already is done again, or is nothing.
    """

    def __init__(
        self, database: Database, *, rotation: KeyRotation, audit: Audit, clock: Clock
    ) -> None:
        self._database = database
        self._rotation = rotation
        self._audit = audit
        self._clock = clock

    async def restore(self, say: Say) -> None:
        """End all sessions and tokens, and have no id or name given a second time.

        Raises
        ------
        DatabaseUnavailableError
            Run it again.
        """
        first_id = await self._database.write(
            lambda unit: unit.restoring.advance_user_ids(ID_MARGIN)
        )
        say(f"the next user has the id {first_id}")
        withdrawn, kid = await self._rotation.replace_all()
        say(f"signing keys withdrawn: {withdrawn}; signs now: {kid}")
        sessions = await self._end_sessions()
        say(f"sessions ended: {sessions}")
        letters = await self._database.write(lambda unit: unit.restoring.forget_mail())
        say(f"letters and tokens of mails forgotten: {letters}")
        lists = await self._database.write(lambda unit: unit.restoring.forget_lists())
        entries = await self._forget_entries()
        say(f"status lists forgotten: {lists}, with {entries} entries")
        await self._database.write(
            lambda unit: self._audit.append(
                unit,
                AuditEvent(
                    action=Action.RESTORED,
                    details={
                        "sessions_ended": sessions,
                        "keys_withdrawn": withdrawn,
                        "kid": kid,
                        "next_user_id": first_id,
                    },
                ),
            )
        )

    async def _end_sessions(self) -> int:
        ended, after = 0, ""
        while True:
            work = partial(self._end_some, after)
            some, last = await self._database.write(work)
            ended += some
            if last is None:
                return ended
            after = last

    async def _end_some(self, after: str, unit: Repositories) -> tuple[int, str | None]:
        return await unit.restoring.end_sessions(
            after, EndReason.RESTORED, self._clock(), _BATCH
        )

    async def _forget_entries(self) -> int:
        forgotten = 0
        while some := await self._database.write(
            lambda unit: unit.restoring.forget_entries(_BATCH)
        ):
            forgotten += some
        return forgotten
