"""Challenges that served once, in the database."""

from datetime import datetime

from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from identity_service.storage.repository import Repository
from identity_service.storage.tables import spent_challenges


class SpentChallengeRepository(Repository):
    """Spent challenges, within one transaction."""

    async def spend(self, digest: str, expires_at: datetime) -> bool:
        """Note a challenge as spent; return False if it is: the primary key decides."""
        values = {"digest": digest, "expires_at": expires_at}
        try:
            await self._connection.execute(insert(spent_challenges).values(values))
        except IntegrityError:
            return False
        return True
