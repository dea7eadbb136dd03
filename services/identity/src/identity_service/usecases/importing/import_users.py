"""Bring the users of the tutorial's database over.

A row that cannot be brought over is reported and the rest goes on. It may be run again,
after an interruption or for rows added since: existing users are left unchanged.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Protocol

from identity_service.domain.accounts.emails import EmailAddress
from identity_service.domain.accounts.roles import USER, RoleName, existing_roles
from identity_service.domain.accounts.tutorial import ImportedUser, TutorialUser
from identity_service.domain.accounts.usernames import Username
from identity_service.domain.errors import UnknownRoleError
from identity_service.domain.fields import InvalidFieldError
from identity_service.storage.tutorial_tables import TutorialTables

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
    BAD_EMAIL = "not an e-mail address"
    BAD_PASSWORD_HASH = "not a password hash that is read here"  # noqa: S105 - an outcome
    """Of no form that is known, or made with a pepper that is not listed."""
    UNKNOWN_ROLE = "unknown role"
    BAD_LINE = "not a JSON object"
    BAD_FLAG = "disabled or passwordIsTemporary is neither true nor false"


DONE: Final = frozenset({Outcome.IMPORTED, Outcome.ALREADY_HERE, Outcome.DELETED})
"""Outcomes that are no refusals."""


class ImportedUsers(Protocol):
    """Our database."""

    async def add(self, users: Sequence[ImportedUser]) -> Sequence[Outcome]:
        """Create what can be created, and return one outcome for each, in order.

        `Outcome.IMPORTED`, `ALREADY_HERE`, `DELETED`, `ID_TAKEN`, `USERNAME_TAKEN`
        or `EMAIL_TAKEN`. What has the outcome IMPORTED is committed, with its roles.
        """
        ...


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


async def import_users(
    source: TutorialTables,
    target: ImportedUsers,
    *,
    roles: AbstractSet[RoleName],
    is_password_hash: Callable[[str], bool],
    progress: Callable[[ImportReport], None],
    after_id: int = 0,
) -> ImportReport:
    """Bring over every user with an id above ``after_id``; if that is 0, every user.

    ``roles`` are those that exist here. ``progress`` is called after each batch, with
    the report so far.

    Raises `DatabaseUnavailableError`: either database is away. Run it again: nothing is
    done twice.
    """
    start = after_id or None  # ids below 1 are reported, too
    total = await source.count(after_id=start)
    report = ImportReport(total=total, last_id=after_id)
    async for batch in source.batches(after_id=start):
        judged = [_judge(row, roles, is_password_hash) for row in batch]
        good = [user for user in judged if isinstance(user, ImportedUser)]
        added = iter(await target.add(good))
        for row, user in zip(batch, judged, strict=True):
            outcome = next(added) if isinstance(user, ImportedUser) else user
            report.outcomes[outcome] += 1
            if outcome not in DONE:
                report.refusals.append(Refusal(row.id, outcome))
            report.last_id = row.id
        progress(report)
    return report


def _judge(
    row: TutorialUser,
    existing: AbstractSet[RoleName],
    is_password_hash: Callable[[str], bool],
) -> ImportedUser | Outcome:
    """Return the user that a row describes, or what is wrong with it.

    The tutorial took spaces around names and addresses, which nobody types here.
    """
    if not 0 < row.id <= MAX_ID:
        return Outcome.BAD_ID
    try:
        username = Username.parse((row.username or "").strip())
    except InvalidFieldError:
        return Outcome.BAD_USERNAME
    try:
        email = EmailAddress.parse((row.email or "").strip())
    except InvalidFieldError:
        return Outcome.BAD_EMAIL
    if row.password is None or not is_password_hash(row.password):
        return Outcome.BAD_PASSWORD_HASH
    try:
        roles = existing_roles(row.roles, existing) or DEFAULT_ROLES
    except UnknownRoleError:
        return Outcome.UNKNOWN_ROLE
    return ImportedUser(
        id=row.id,
        username=username,
        email=email,
        password_hash=row.password,
        created_at=row.created_at,
        roles=roles,
    )
