"""Passkeys in the database."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from identity_service.domain.factors import Passkey
from identity_service.storage.tables import passkeys

_COLUMNS: Final = Passkey.__slots__


class PasskeyRepository:
    """Passkeys, within one transaction. Lock the user before changing them."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, passkey_id: str) -> Passkey | None:
        """Return the passkey of this id."""
        rows = await self._connection.execute(
            select(passkeys).where(passkeys.c.id == passkey_id)
        )
        row = rows.one_or_none()
        return None if row is None else _passkey(row)

    async def of(self, user_id: int) -> list[Passkey]:
        """Return a user's passkeys, the oldest first."""
        rows = await self._connection.execute(
            select(passkeys)
            .where(passkeys.c.user_id == user_id)
            .order_by(passkeys.c.created_at, passkeys.c.id)
        )
        return [_passkey(row) for row in rows]

    async def add(self, passkey: Passkey) -> bool:
        """Insert a passkey; return False if it exists already."""
        values = {name: getattr(passkey, name) for name in _COLUMNS}
        try:
            await self._connection.execute(insert(passkeys).values(values))
        except IntegrityError:
            return False
        return True

    async def use(
        self, passkey: Passkey, sign_count: int, now: datetime, *, is_backed_up: bool
    ) -> bool:
        """Record a use; return False if another use, or its removal, was first."""
        used = await self._connection.execute(
            update(passkeys)
            .where(
                passkeys.c.id == passkey.id,
                passkeys.c.sign_count == passkey.sign_count,
            )
            .values(sign_count=sign_count, is_backed_up=is_backed_up, last_used_at=now)
        )
        return used.rowcount == 1

    async def rename(self, user_id: int, passkey_id: str, name: str) -> bool:
        """Name a user's passkey; return False if they have none of this id."""
        renamed = await self._connection.execute(
            update(passkeys)
            .where(passkeys.c.id == passkey_id, passkeys.c.user_id == user_id)
            .values(name=name)
        )
        return renamed.rowcount == 1

    async def remove(self, user_id: int, passkey_id: str) -> bool:
        """Remove a user's passkey; return False if they have none of this id."""
        removed = await self._connection.execute(
            delete(passkeys).where(
                passkeys.c.id == passkey_id, passkeys.c.user_id == user_id
            )
        )
        return removed.rowcount == 1

    async def remove_all(self, user_id: int) -> int:
        """Remove all passkeys of a user; return how many."""
        removed = await self._connection.execute(
            delete(passkeys).where(passkeys.c.user_id == user_id)
        )
        return removed.rowcount


def _passkey(row: Row[Any]) -> Passkey:
    return Passkey(**{name: getattr(row, name) for name in _COLUMNS})
