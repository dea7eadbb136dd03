"""Signing keys in the database. Every step of their lives is one atomic statement."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from identity_service.domain.errors import LostRaceError
from identity_service.domain.signing_keys import KeyRecord, KeySlot
from identity_service.storage.repository import Repository, columns_of, record_of
from identity_service.storage.tables import signing_keys


class SigningKeyRepository(Repository):
    """Signing keys, within one transaction."""

    async def all(self) -> list[KeyRecord]:
        """Return every key, in the order in which they were published."""
        rows = await self._connection.execute(
            select(signing_keys).order_by(
                signing_keys.c.published_at, signing_keys.c.kid
            )
        )
        return [_record(row) for row in rows]

    async def add(self, key: KeyRecord) -> None:
        """Publish a key in its slot.

        Raises `LostRaceError`: another process has put a key there.
        """
        try:
            await self._connection.execute(insert(signing_keys).values(columns_of(key)))
        except IntegrityError as error:
            raise LostRaceError from error

    async def retire(self, kid: str, now: datetime, expires_at: datetime) -> None:
        """End the active key's signing and destroy its private half.

        Raises `LostRaceError`: it is not the active key any more.
        """
        await self._one(
            update(signing_keys)
            .where(signing_keys.c.kid == kid, signing_keys.c.slot == KeySlot.ACTIVE)
            .values(
                slot=None,
                retired_at=now,
                expires_at=expires_at,
                sealed_private_key=None,
            )
        )

    async def withdraw(self, kid: str, now: datetime) -> None:
        """Unpublish a key that signs or is to sign, and destroy its private half.

        Raises `LostRaceError`: it is neither any more.
        """
        await self._one(
            update(signing_keys)
            .where(signing_keys.c.kid == kid, signing_keys.c.slot.is_not(None))
            .values(slot=None, retired_at=now, expires_at=now, sealed_private_key=None)
        )

    async def withdraw_all(self, now: datetime) -> int:
        """Unpublish every key and destroy its private half; return how many."""
        return await self._affected(
            update(signing_keys)
            .where(
                or_(
                    signing_keys.c.expires_at.is_(None), signing_keys.c.expires_at > now
                )
            )
            .values(slot=None, retired_at=now, expires_at=now, sealed_private_key=None)
        )

    async def activate(
        self, kid: str, now: datetime, *, published_before: datetime | None = None
    ) -> None:
        """Let the next key sign, if it has been published since before then, if asked.

        Raises `LostRaceError`: it is not the next key any more, or was published later.
        """
        is_next = [signing_keys.c.kid == kid, signing_keys.c.slot == KeySlot.NEXT]
        if published_before is not None:
            is_next.append(signing_keys.c.published_at <= published_before)
        await self._one(
            update(signing_keys)
            .where(*is_next)
            .values(slot=KeySlot.ACTIVE, activated_at=now)
        )

    async def reseal(self, kid: str, sealed: bytes, resealed: bytes) -> bool:
        """Replace a sealed private half; return False if it has changed meanwhile."""
        return await self._affects(
            update(signing_keys)
            .where(
                signing_keys.c.kid == kid, signing_keys.c.sealed_private_key == sealed
            )
            .values(sealed_private_key=resealed)
        )

    async def remove_gone(self, now: datetime) -> int:
        """Remove the keys of which nothing is valid any more; return how many."""
        return await self._affected(
            delete(signing_keys).where(
                signing_keys.c.slot.is_(None), signing_keys.c.expires_at <= now
            )
        )

    async def _one(self, statement: Any) -> None:  # noqa: ANN401
        if not await self._affects(statement):
            raise LostRaceError


def _record(row: Row[Any]) -> KeyRecord:
    slot = None if row.slot is None else KeySlot(row.slot)
    return replace(record_of(KeyRecord, row), slot=slot)
