"""Users as lines of JSON, to move them between deployments (docs/identity.md).

Hashes are moved as they are: who imports peppered ones needs the pepper in its list.
"""

import json
from datetime import datetime

from identity_service.domain.accounts.foreign_users import ForeignUser, read_moment
from identity_service.domain.accounts.users import User
from identity_service.usecases.importing.import_users import Outcome
from service_kit.strict_json import parse_object


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


def from_line(line: bytes, now: datetime) -> ForeignUser | Outcome:
    """Return the user that a line describes, or what is wrong with it.

    Only name, address and hash are needed. Members that are not known are ignored.
    """
    try:
        members = _members(line)
        return ForeignUser(
            username=_text(members.get("username")),
            email=_text(members.get("email")),
            password_hash=_text(members.get("passwordHash")),
            password_is_temporary=_flag(members.get("passwordIsTemporary")),
            created_at=_moment(members.get("createdAt"), now),
            email_verified_at=_moment(members.get("emailVerifiedAt"), now),
            deletion_due_at=read_moment(_text(members.get("deletionDueAt"))),
            is_disabled=_flag(members.get("disabled")),
            roles=_role_names(members.get("roles") or []),
        )
    except _LineError as error:
        return error.outcome


def _members(line: bytes) -> dict[str, object]:
    try:
        return parse_object(line)
    except ValueError:
        raise _LineError(Outcome.BAD_LINE) from None


def _role_names(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise _LineError(Outcome.UNKNOWN_ROLE)
    return value


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
