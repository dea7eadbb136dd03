"""Roles, and who may take one."""

from collections.abc import Iterable
from enum import StrEnum

from identity_service.domain.errors import RoleNotSelfAssignableError, UnknownRoleError


class Role(StrEnum):
    """What an account may do. A new role is a member here and a row by migration."""

    USER = "user"
    MODERATOR = "moderator"
    ADMIN = "admin"


def parse_roles(names: Iterable[str]) -> frozenset[Role]:
    """Return the roles of these names.

    Raises
    ------
    UnknownRoleError
        For the first name that is none.
    """
    roles = set()
    for name in names:
        if name not in set(Role):
            raise UnknownRoleError(name)
        roles.add(Role(name))
    return frozenset(roles)


def roles_at_sign_up(
    wanted: Iterable[str] | None, self_assignable: frozenset[Role]
) -> frozenset[Role]:
    """Return the roles a new account gets; naming none gives ``user``.

    Raises
    ------
    UnknownRoleError, RoleNotSelfAssignableError
    """
    roles = parse_roles(wanted or ()) or frozenset({Role.USER})
    if beyond := roles - self_assignable - {Role.USER}:
        raise RoleNotSelfAssignableError(min(beyond))
    return roles
