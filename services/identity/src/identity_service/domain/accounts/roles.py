"""Roles: rows that the operator makes. Code names only those that it needs."""

import re
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final, NewType

from identity_service.domain.errors import (
    RoleNotSelfAssignableError,
    UnknownRoleError,
    all_faults,
)
from identity_service.domain.fields import InvalidFieldError, noted

RoleName = NewType("RoleName", str)
"""A role's name, lower case. Responses show it in upper case, after ``ROLE_``."""

USER: Final = RoleName("user")
"""The role of every user who signs up."""

ADMIN: Final = RoleName("admin")
"""Opens identity's own administration."""

BUILT_IN: Final = frozenset({USER, ADMIN})
"""Roles that identity cannot work without."""

MOST_ROLES: Final = 100
"""Roles in all: an access token with every one of them still fits a header."""

MOST_DESCRIPTION: Final = 200
"""Characters of a description."""

MOST_NAME: Final = 32
"""Characters of a name."""

ROLE_NAME: Final = rf"[a-z][a-z0-9_-]{{0,{MOST_NAME - 1}}}"
"""What names look like."""


class InvalidRoleNameError(InvalidFieldError):
    """A role cannot have this name."""

    field = "name"


class InvalidDescriptionError(InvalidFieldError):
    """A role cannot have this description."""

    field = "description"


@dataclass(frozen=True, slots=True)
class Role:
    """A role, and what it is for."""

    name: RoleName
    description: str

    @classmethod
    def parse(cls, name: str, description: str) -> "Role":
        """Return a role with this name and description.

        Raises `InvalidFieldsError`.
        """
        with all_faults() as faults:
            with noted(faults):
                role_name = parse_role_name(name)
            with noted(faults):
                text = _parse_description(description)
        return cls(role_name, text)


def parse_role_name(name: str) -> RoleName:
    """Return a name that a role can have, or raise `InvalidRoleNameError`."""
    if not re.fullmatch(ROLE_NAME, name):
        raise InvalidRoleNameError(
            "name_malformed",
            "A role's name has {minimum} to {maximum} of the characters a-z, 0-9, -"
            " and _, and begins with a letter.",
            minimum=1,
            maximum=MOST_NAME,
        )
    return RoleName(name)


def _parse_description(description: str) -> str:
    text = description.strip()
    if not 0 < len(text) <= MOST_DESCRIPTION or not text.isprintable():
        raise InvalidDescriptionError(
            "description_malformed",
            "A description is one line of {minimum} to {maximum} characters.",
            minimum=1,
            maximum=MOST_DESCRIPTION,
        )
    return text


def existing_roles(
    names: Iterable[str], existing: AbstractSet[RoleName]
) -> frozenset[RoleName]:
    """Return the roles of these names.

    Raises `UnknownRoleError`: for the first name that no existing role has.
    """
    roles = []
    for name in names:
        if name not in existing:
            raise UnknownRoleError(name)
        roles.append(RoleName(name))
    return frozenset(roles)


def roles_at_sign_up(
    wanted: Iterable[str] | None,
    *,
    existing: AbstractSet[RoleName],
    self_assignable: AbstractSet[RoleName],
) -> frozenset[RoleName]:
    """Return the roles a new user gets; naming none gives ``user``.

    Raises `UnknownRoleError` or `RoleNotSelfAssignableError`.
    """
    roles = existing_roles(wanted or (), existing) or frozenset({USER})
    if beyond := roles - self_assignable - {USER}:
        raise RoleNotSelfAssignableError(min(beyond))
    return roles
