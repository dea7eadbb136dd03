"""Passkeys in the database."""

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from identity_service.domain.factors import Passkey
from identity_service.storage.repository import Repository, columns_of, record_of
from identity_service.storage.tables import passkeys


class PasskeyRepository(Repository):
    """Passkeys, within one transaction. Lock the user before changing them."""

    async def get(self, passkey_id: str) -> Passkey | None:
        """Return the passkey of this id."""
        row = await self._row(select(passkeys).where(passkeys.c.id == passkey_id))
        return None if row is None else record_of(Passkey, row)

    async def of(self, user_id: int) -> list[Passkey]:
        """Return a user's passkeys, the oldest first."""
        rows = await self._connection.execute(
            select(passkeys)
            .where(passkeys.c.user_id == user_id)
            .order_by(passkeys.c.created_at, passkeys.c.id)
        )
        return [record_of(Passkey, row) for row in rows]

    async def add(self, passkey: Passkey) -> bool:
        """Insert a passkey; return False if it exists already."""
        try:
            await self._connection.execute(insert(passkeys).values(columns_of(passkey)))
        except IntegrityError:
            return False
        return True

    async def use(
        self, passkey: Passkey, sign_count: int, *, is_backed_up: bool
    ) -> bool:
        """Record a use; return False if another use, or its removal, was first."""
        return await self._affects(
            update(passkeys)
            .where(
                passkeys.c.id == passkey.id, passkeys.c.sign_count == passkey.sign_count
            )
            .values(
                sign_count=sign_count,
                is_backed_up=is_backed_up,
                last_used_at=self._now(),
            )
        )

    async def rename(self, user_id: int, passkey_id: str, name: str) -> bool:
        """Name a user's passkey; return False if they have none of this id."""
        return await self._affects(
            update(passkeys)
            .where(passkeys.c.id == passkey_id, passkeys.c.user_id == user_id)
            .values(name=name)
        )

    async def remove(self, user_id: int, passkey_id: str) -> bool:
        """Remove a user's passkey; return False if they have none of this id."""
        return await self._affects(
            delete(passkeys).where(
                passkeys.c.id == passkey_id, passkeys.c.user_id == user_id
            )
        )

    async def remove_all(self, user_id: int) -> int:
        """Remove all passkeys of a user; return how many."""
        return await self._affected(
            delete(passkeys).where(passkeys.c.user_id == user_id)
        )
