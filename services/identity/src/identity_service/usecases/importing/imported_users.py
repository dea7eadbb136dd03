"""Insert imported users."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from identity_service.domain.accounts.usernames import InvalidUsernameError
from identity_service.domain.accounts.users import NewUser, refuse_foreign_address
from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.errors import EmailTakenError, UsernameTakenError
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.usecases.importing.import_users import Outcome
from service_kit.tokens import base64url

_BATCH: Final = 50
"""Users in one transaction, at most."""

_BATCH_SECONDS: Final = 1.0
"""How long one transaction takes users in: it has to end within the time of a unit of
work, also where the database is busy or far away."""


@dataclass(frozen=True, slots=True)
class ImportedUsers:
    """Creates users that come from other systems, each once.

    Those who come with their id are recognised by it, the others by a digest of what
    they come with.
    """

    database: Database

    async def add(self, users: Sequence[NewUser | Outcome]) -> list[Outcome]:
        """Create what can be created, and return one outcome for each, in order.

        Those that have an outcome already keep it. Users with the outcome IMPORTED are
        committed, with their roles.
        """
        outcomes: list[Outcome] = []
        while len(outcomes) < len(users):
            batch = users[len(outcomes) : len(outcomes) + _BATCH]
            outcomes += await self.database.write(partial(self._add_some, batch))
        return outcomes

    async def _add_some(
        self, batch: Sequence[NewUser | Outcome], unit: Repositories
    ) -> list[Outcome]:
        """Return the outcomes of those for whom there is time, the first at least."""
        outcomes: list[Outcome] = []
        ends_at = time.monotonic() + _BATCH_SECONDS
        for each in batch:
            outcomes.append(
                each if isinstance(each, Outcome) else await self._add_one(unit, each)
            )
            if time.monotonic() >= ends_at:
                break
        return outcomes

    async def _add_one(self, unit: Repositories, user: NewUser) -> Outcome:
        outcome = await _outcome_before(unit, user)
        if outcome is not None:
            return outcome
        try:
            refuse_foreign_address(user.username, user.email)
            user_id = await unit.users.add(user, unit.now())
        except InvalidUsernameError:
            return Outcome.USERNAME_IS_ADDRESS
        except UsernameTakenError:
            return Outcome.USERNAME_TAKEN
        except EmailTakenError:
            return Outcome.EMAIL_TAKEN
        if user.id is None:
            await unit.imported_users.add_line(_digest(user))
        else:
            await unit.imported_users.add(user.id)
        unit.record(AuditEvent.of_new_user(Action.ACCOUNT_CREATED, user_id, user.roles))
        return Outcome.IMPORTED


async def _outcome_before(unit: Repositories, user: NewUser) -> Outcome | None:
    """Return what became of a user in an earlier run; None if they are new here."""
    if user.id is not None:
        return await _outcome_of_id(unit, user.id, user)
    present = await unit.users.get_by_username_key(user.username.key)
    if present is not None:
        is_same = present.email_key == user.email.key
        return Outcome.ALREADY_HERE if is_same else Outcome.USERNAME_TAKEN
    if not await unit.imported_users.has_line(_digest(user)):
        return None
    renamed = await unit.users.get_by_email_key(user.email.key)
    return Outcome.DELETED if renamed is None else Outcome.ALREADY_HERE


async def _outcome_of_id(
    unit: Repositories, user_id: int, user: NewUser
) -> Outcome | None:
    present = await unit.users.get(user_id)
    if present is not None:
        is_same = present.username_key == user.username.key
        return Outcome.ALREADY_HERE if is_same else Outcome.ID_TAKEN
    if await unit.imported_users.has(user_id):
        return Outcome.DELETED
    is_spent = await unit.imported_users.has_acted(user_id)
    return Outcome.ID_TAKEN if is_spent else None


def _digest(user: NewUser) -> str:
    """Return what a user without an id is recognised by when imported again."""
    content = f"{user.username.key}\0{user.email.key}\0{user.password_hash}"
    return base64url.encode(hashlib.sha256(content.encode()).digest())
