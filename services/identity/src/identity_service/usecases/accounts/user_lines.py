"""Users as lines of JSON, to move them between deployments (docs/identity.md).

Hashes are moved as they are: who imports peppered ones needs the pepper in its list.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from identity_service.domain.accounts.emails import EmailAddress, InvalidEmailError
from identity_service.domain.accounts.roles import RoleName, existing_roles
from identity_service.domain.accounts.usernames import InvalidUsernameError, Username
from identity_service.domain.accounts.users import NewUser, User
from identity_service.domain.audit import Action, AuditEvent
from identity_service.domain.errors import (
    EmailTakenError,
    UnknownRoleError,
    UsernameTakenError,
)
from identity_service.domain.moments import read_moment
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.usecases.importing.import_users import DEFAULT_ROLES, Outcome
from service_kit.clock import Clock
from service_kit.strict_json import parse_object
from service_kit.tokens import base64url

PAGE: Final = 500
"""Users read at a time."""

BATCH: Final = 50
"""Users in one transaction: it stays well within the time a unit of work has."""

IsHash = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class UserLine:
    """A user that a line describes."""

    user: NewUser
    is_disabled: bool
    deletion_due_at: datetime | None = None
    """When the user wants to be deleted."""


def to_line(user: User) -> str:
    """Return the line of a user, without its end."""
    verified_at, deletion_due_at = user.email_verified_at, user.deletion_due_at
    return json.dumps(
        {
            "username": user.username,
            "email": user.email,
            "emailVerifiedAt": verified_at and verified_at.isoformat(),
            "passwordHash": user.password_hash,
            "passwordIsTemporary": user.password_is_temporary,
            "roles": list(user.roles),
            "disabled": user.disabled_at is not None,
            "createdAt": user.created_at.isoformat(),
            "deletionDueAt": deletion_due_at and deletion_due_at.isoformat(),
        },
        ensure_ascii=False,
    )


class _LineError(Exception):
    """A line describes no user who could be added."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.value)
        self.outcome = outcome


def from_line(
    line: bytes,
    *,
    roles: AbstractSet[RoleName],
    is_password_hash: IsHash,
    now: datetime,
) -> UserLine | Outcome:
    """Return the user that a line describes, or what is wrong with it.

    Only name, address and hash are needed. Members that are not known are ignored.
    """
    try:
        return _user_in(_members(line), roles, is_password_hash, now)
    except _LineError as error:
        return error.outcome
    except InvalidUsernameError:
        return Outcome.BAD_USERNAME
    except InvalidEmailError:
        return Outcome.BAD_EMAIL
    except UnknownRoleError:
        return Outcome.UNKNOWN_ROLE


def _members(line: bytes) -> dict[str, object]:
    try:
        return parse_object(line)
    except ValueError:
        raise _LineError(Outcome.BAD_LINE) from None


def _user_in(
    members: dict[str, object],
    roles: AbstractSet[RoleName],
    is_password_hash: IsHash,
    now: datetime,
) -> UserLine:
    names = members.get("roles") or []
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
        raise _LineError(Outcome.UNKNOWN_ROLE)
    password_hash = _text(members.get("passwordHash"))
    user = NewUser(
        username=Username.parse(_text(members.get("username")).strip()),
        email=EmailAddress.parse(_text(members.get("email")).strip()),
        password_hash=password_hash,
        password_is_temporary=_flag(members.get("passwordIsTemporary")),
        roles=existing_roles(names, roles) or DEFAULT_ROLES,
        created_at=_moment(members.get("createdAt"), now) or now,
        email_verified_at=_moment(members.get("emailVerifiedAt"), now),
    )
    if not is_password_hash(password_hash):
        raise _LineError(Outcome.BAD_PASSWORD_HASH)
    return UserLine(
        user,
        is_disabled=_flag(members.get("disabled")),
        deletion_due_at=read_moment(_text(members.get("deletionDueAt"))),
    )


class UserLines:
    """Reads all users, and adds users of another deployment."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def pages(self, after_id: int) -> AsyncIterator[list[User]]:
        """Yield all users with a greater id, in order of it, a page at a time."""
        while True:
            work = partial(_page, after_id)
            users = await self._database.read(work)
            if not users:
                return
            yield users
            after_id = users[-1].id

    async def add(self, lines: Sequence[UserLine]) -> list[Outcome]:
        """Create who is not here, in one transaction; return an outcome for each."""

        async def work(unit: Repositories) -> list[Outcome]:
            return [await self._add_one(unit, line) for line in lines]

        return await self._database.write(work)

    async def _add_one(self, unit: Repositories, line: UserLine) -> Outcome:
        digest = _digest(line.user)
        if (outcome := await _outcome_before(unit, line.user, digest)) is not None:
            return outcome
        try:
            user_id = await unit.users.add(line.user, self._clock())
        except UsernameTakenError:
            return Outcome.USERNAME_TAKEN
        except EmailTakenError:
            return Outcome.EMAIL_TAKEN
        now = self._clock()
        if line.is_disabled:
            await unit.users.set_disabled_at(user_id, now, now)
        if line.deletion_due_at is not None:
            await unit.users.set_deletion_due_at(user_id, line.deletion_due_at, now)
        await unit.imported_users.add_line(digest)
        roles = line.user.roles
        event = AuditEvent.of_new_user(Action.ACCOUNT_CREATED, user_id, roles)
        unit.audit.append(event)
        return Outcome.IMPORTED


async def _outcome_before(
    unit: Repositories, user: NewUser, digest: str
) -> Outcome | None:
    """Return what became of a line before, or of its name; None if it is new here."""
    present = await unit.users.get_by_username_key(user.username.key)
    if present is not None:
        is_same = present.email_key == user.email.key
        return Outcome.ALREADY_HERE if is_same else Outcome.USERNAME_TAKEN
    if not await unit.imported_users.has_line(digest):
        return None
    renamed = await unit.users.get_by_email_key(user.email.key)
    return Outcome.DELETED if renamed is None else Outcome.ALREADY_HERE


def _digest(user: NewUser) -> str:
    """Return what a line is recognised by when it is imported again."""
    content = f"{user.username.key}\0{user.email.key}\0{user.password_hash}"
    return base64url.encode(hashlib.sha256(content.encode()).digest())


async def _page(after_id: int, unit: Repositories) -> list[User]:
    return await unit.users.page("", after_id, PAGE)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _flag(value: object) -> bool:
    """Return a flag, or raise `_LineError`: no typo may enable a disabled user."""
    if value is not None and not isinstance(value, bool):
        raise _LineError(Outcome.BAD_FLAG)
    return value is True


def _moment(value: object, now: datetime) -> datetime | None:
    """Return a moment that was, None for what says none."""
    moment = read_moment(_text(value))
    return moment if moment is not None and moment <= now else None
