"""Insert imported users."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from identity_service.domain.accounts.tutorial import ImportedUser
from identity_service.domain.accounts.users import NewUser
from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.errors import EmailTakenError, UsernameTakenError
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.usecases.importing.import_users import Outcome
from service_kit.clock import Clock

_BATCH: Final = 50
"""Users in one transaction: it stays well within the time a unit of work has."""


class StoredImportedUsers:
    """Our database, as the import sees it."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def add(self, users: Sequence[ImportedUser]) -> list[Outcome]:
        """Create what can be created, and return one outcome for each, in order."""
        outcomes: list[Outcome] = []
        for start in range(0, len(users), _BATCH):
            batch = users[start : start + _BATCH]
            outcomes += await self._database.write(partial(self._add_batch, batch))
        return outcomes

    async def _add_batch(
        self, batch: Sequence[ImportedUser], unit: Repositories
    ) -> list[Outcome]:
        return [await self._add_one(unit, user) for user in batch]

    async def _add_one(self, unit: Repositories, user: ImportedUser) -> Outcome:
        if (outcome := await _outcome_before(unit, user)) is not None:
            return outcome
        new_user = NewUser(
            id=user.id,
            username=user.username,
            email=user.email,
            password_hash=user.password_hash,
            roles=user.roles,
            created_at=user.created_at or self._clock(),
        )
        try:
            await unit.users.add(new_user, self._clock())
        except UsernameTakenError:
            return Outcome.USERNAME_TAKEN
        except EmailTakenError:
            return Outcome.EMAIL_TAKEN
        await unit.imported_users.add(user.id)
        event = AuditEvent.of_new_user(Action.ACCOUNT_CREATED, user.id, user.roles)
        unit.audit.append(event)
        return Outcome.IMPORTED


async def _outcome_before(unit: Repositories, user: ImportedUser) -> Outcome | None:
    """Return what became of the row before, or of its id; None if it is new here."""
    present = await unit.users.get(user.id)
    if present is not None:
        is_same = present.username_key == user.username.key
        return Outcome.ALREADY_HERE if is_same else Outcome.ID_TAKEN
    if await unit.imported_users.has(user.id):
        return Outcome.DELETED
    is_spent = await unit.imported_users.has_acted(user.id)
    return Outcome.ID_TAKEN if is_spent else None
