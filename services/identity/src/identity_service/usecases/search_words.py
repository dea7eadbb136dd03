"""Let users be found whom replicas of an older version have added."""

from typing import Final

from identity_service.storage.database import Database

_BATCH: Final = 1000
"""Users that one transaction looks at: some milliseconds where all have words."""


class MissingSearchWords:
    """Gives search words to users that have none.

    Each process looks at every id once: what this version writes has its words.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._last_id = 0

    async def add(self) -> int:
        """Look at users until some had no words; return how many, 0 at the end."""
        while True:
            after_id = self._last_id
            self._last_id, filled = await self._database.write(
                lambda unit: unit.search_words.fill(self._last_id, _BATCH)
            )
            if filled or self._last_id == after_id:
                return filled
