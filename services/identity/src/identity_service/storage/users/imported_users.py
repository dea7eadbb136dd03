"""Which ids have been given, to imported users and to others, deleted ones included."""

from sqlalchemy import exists, insert, select

from identity_service.storage.repository import Repository
from identity_service.storage.tables import audit_events, imported_lines, imported_users


class ImportedUserRepository(Repository):
    """The ids and lines that an import has brought, within one transaction."""

    async def add(self, user_id: int) -> None:
        """Note that the user was imported."""
        await self._connection.execute(insert(imported_users).values(user_id=user_id))

    async def has(self, user_id: int) -> bool:
        """Return whether the user was imported, though he may be deleted since."""
        found = exists().where(imported_users.c.user_id == user_id)
        return bool(await self._connection.scalar(select(found)))

    async def add_line(self, digest: str) -> None:
        """Note that a user was imported by a line."""
        await self._connection.execute(insert(imported_lines).values(digest=digest))

    async def has_line(self, digest: str) -> bool:
        """Return whether a user was imported by such a line, though deleted since."""
        found = exists().where(imported_lines.c.digest == digest)
        return bool(await self._connection.scalar(select(found)))

    async def has_acted(self, user_id: int) -> bool:
        """Return whether the audit log knows an account of this id."""
        found = exists().where(audit_events.c.subject_id == user_id)
        return bool(await self._connection.scalar(select(found)))
