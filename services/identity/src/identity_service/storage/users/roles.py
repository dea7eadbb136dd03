"""Roles in the database. The tutorial's three come with the migrations."""

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from identity_service.domain.accounts.roles import ADMIN, MOST_ROLES, Role, RoleName
from identity_service.domain.errors import (
    RoleExistsError,
    RoleInUseError,
    RoleNotFoundError,
    TooManyRolesError,
)
from identity_service.storage.repository import Repository
from identity_service.storage.tables import roles


class RoleRepository(Repository):
    """Roles, within one transaction."""

    async def all(self) -> list[Role]:
        """Return every role, in order of id."""
        rows = await self._connection.execute(
            select(roles.c.name, roles.c.description).order_by(roles.c.id)
        )
        return [Role(RoleName(row.name), row.description) for row in rows]

    async def names(self) -> frozenset[RoleName]:
        """Return the name of every role."""
        return frozenset(role.name for role in await self.all())

    async def add(self, role: Role) -> None:
        """Insert a role. The admin role is locked, so that its id is not taken.

        Raises `RoleExistsError`: as the unique index decides; `TooManyRolesError`.
        """
        taken = set(await self._connection.scalars(select(roles.c.id)))
        free = min(set(range(1, MOST_ROLES + 1)) - taken, default=None)
        if free is None:
            raise TooManyRolesError
        values = {"id": free, "name": role.name, "description": role.description}
        try:
            await self._connection.execute(insert(roles).values(values))
        except IntegrityError:
            raise RoleExistsError from None

    async def describe(self, role: Role) -> None:
        """Replace the description of a role, or raise `RoleNotFoundError`."""
        changing = update(roles).where(roles.c.name == role.name)
        values = {"description": role.description}
        if not await self._affected(changing.values(values)):
            raise RoleNotFoundError

    async def remove(self, name: str) -> None:
        """Delete a role.

        Raises `RoleInUseError`: as the foreign key decides; `RoleNotFoundError`.
        """
        deleting = delete(roles).where(roles.c.name == name)
        try:
            removed = await self._affected(deleting)
        except IntegrityError:
            raise RoleInUseError from None
        if not removed:
            raise RoleNotFoundError

    async def lock_admin(self) -> None:
        """Lock roles, and the assignment of the admin role, until the transaction ends.

        Taken before any user is locked.
        """
        await self._connection.execute(
            select(roles.c.id).where(roles.c.name == ADMIN).with_for_update()
        )
