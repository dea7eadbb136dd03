"""Bring users of other systems over, each once.

What cannot be brought over is reported and the rest goes on. It may be run again, after
an interruption or for users added since: existing users are left unchanged.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Final

from identity_service.domain.accounts.emails import EmailAddress, InvalidEmailError
from identity_service.domain.accounts.foreign_users import ForeignUser
from identity_service.domain.accounts.roles import USER, RoleName, existing_roles
from identity_service.domain.accounts.usernames import InvalidUsernameError, Username
from identity_service.domain.accounts.users import NewUser, refuse_foreign_address
from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.errors import (
    EmailTakenError,
    UnknownRoleError,
    UsernameTakenError,
)
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.storage.tutorial_tables import TutorialTables
from service_kit.clock import Clock
from service_kit.tokens import base64url

DEFAULT_ROLES: Final = frozenset({USER})
"""Of a row without any, which the tutorial let in as a user."""

MAX_ID: Final = 2**52
"""The next sign-up gets a greater one: as many are left that JSON carries exactly."""


class Outcome(Enum):
    """What became of a row."""

    IMPORTED = "imported"
    ALREADY_HERE = "already here"
    """A run before this one brought it; it stays as it was changed here since."""
    DELETED = "deleted here since, not brought back"
    ID_TAKEN = "id is or was another user's"
    USERNAME_TAKEN = "user name taken, or looks like one that is"
    EMAIL_TAKEN = "e-mail address taken"
    BAD_ID = "id is not from 1 to 2**52"
    BAD_USERNAME = "not a user name"
    USERNAME_IS_ADDRESS = "user name is another e-mail address"
    BAD_EMAIL = "not an e-mail address"
    BAD_PASSWORD_HASH = "not a password hash that is read here"  # noqa: S105 - an outcome
    """Of no form that is known, or made with a pepper that is not listed."""
    UNKNOWN_ROLE = "unknown role"
    BAD_LINE = "not a JSON object"
    BAD_FLAG = "disabled or passwordIsTemporary is neither true nor false"


DONE: Final = frozenset({Outcome.IMPORTED, Outcome.ALREADY_HERE, Outcome.DELETED})
"""Outcomes that are no refusals."""


Add = Callable[[Sequence[NewUser | Outcome]], Awaitable[Sequence[Outcome]]]
"""Creates the users that can be created; see `ImportedUsers.add`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRules:
    """Which users of other systems can be users here, and how they begin."""

    roles: AbstractSet[RoleName]
    """Those that exist here."""
    is_password_hash: Callable[[str], bool]
    clock: Clock

    def apply(self, user: ForeignUser) -> NewUser | Outcome:
        """Return the user to be created, or what is wrong with them.

        The tutorial took spaces around names and addresses, which nobody types here.
        """
        if user.id is not None and not 0 < user.id <= MAX_ID:
            return Outcome.BAD_ID
        try:
            username = Username.parse((user.username or "").strip())
            email = EmailAddress.parse((user.email or "").strip())
            roles = existing_roles(user.roles, self.roles) or DEFAULT_ROLES
        except InvalidUsernameError:
            return Outcome.BAD_USERNAME
        except InvalidEmailError:
            return Outcome.BAD_EMAIL
        except UnknownRoleError:
            return Outcome.UNKNOWN_ROLE
        if user.password_hash is None or not self.is_password_hash(user.password_hash):
            return Outcome.BAD_PASSWORD_HASH
        now = self.clock()
        return NewUser(
            id=user.id,
            username=username,
            email=email,
            password_hash=user.password_hash,
            password_is_temporary=user.password_is_temporary,
            roles=roles,
            created_at=user.created_at or now,
            email_verified_at=user.email_verified_at,
            deletion_due_at=user.deletion_due_at,
            disabled_at=now if user.is_disabled else None,
        )


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that stays behind. Its id says which; its text is not repeated."""

    id: int
    outcome: Outcome


@dataclass(slots=True)
class ImportReport:
    """The progress of the import."""

    total: int
    last_id: int
    """Of the last row dealt with: `after_id` of a run that goes on from here."""
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    refusals: list[Refusal] = field(default_factory=list)

    @property
    def done(self) -> int:
        """Return the number of rows dealt with."""
        return self.outcomes.total()


async def import_tutorial_users(
    source: TutorialTables,
    add: Add,
    *,
    rules: ImportRules,
    progress: Callable[[ImportReport], None],
    after_id: int,
) -> ImportReport:
    """Bring over every user with an id above ``after_id``; if that is 0, every user.

    ``progress`` is called after each batch, with the report so far.

    Raises `DatabaseUnavailableError`: either database is away. Run it again: nothing is
    done twice.
    """
    start = after_id or None  # ids below 1 are reported, too
    total = await source.count(after_id=start)
    report = ImportReport(total=total, last_id=after_id)
    async for batch in source.batches(after_id=start):
        outcomes = await add([rules.apply(user) for user in batch])
        for user, outcome in zip(batch, outcomes, strict=True):
            report.last_id = user.id or 0
            report.outcomes[outcome] += 1
            if outcome not in DONE:
                report.refusals.append(Refusal(report.last_id, outcome))
        progress(report)
    return report


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
            user_id = await unit.users.add(user)
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
