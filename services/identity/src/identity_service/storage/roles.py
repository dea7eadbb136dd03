"""Roles in the database. Their rows come with the migrations."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from identity_service.domain.roles import Role
from identity_service.storage.tables import roles


class RoleRepository:
    """Roles, within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def all(self) -> list[Role]:
        """Return every role, in order of id."""
        names = await self._connection.scalars(
            select(roles.c.name).order_by(roles.c.id)
        )
        return [Role(name) for name in names]

    async def lock_admin(self) -> None:
        """Let nobody else change who is an admin until the end of the transaction.

        Taken before any user is locked.
        """
        await self._connection.execute(
            select(roles.c.id).where(roles.c.name == Role.ADMIN).with_for_update()
        )
