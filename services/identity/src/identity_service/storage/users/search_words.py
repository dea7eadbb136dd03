"""The words that users are found by, in the database."""

from typing import Final

from sqlalchemy import bindparam, delete, exists, insert, select

from identity_service.domain.accounts.search import search_key, search_words
from identity_service.storage.repository import Repository
from identity_service.storage.tables import user_search_words, users

_LAST_CHARACTER: Final = "\U0010ffff"
"""No name has it, and in every database it comes after all that one may have."""

_ADD: Final = insert(user_search_words)
_FIND: Final = (
    select(user_search_words.c.user_id)
    .distinct()
    .where(
        user_search_words.c.word >= bindparam("first"),
        user_search_words.c.word < bindparam("beyond"),
        user_search_words.c.user_id > bindparam("after_id"),
    )
    .order_by(user_search_words.c.user_id)
    .limit(bindparam("most"))
)
"""A range of one index or the other, as the database finds shorter."""


class SearchWordRepository(Repository):
    """The words of users, within one transaction."""

    async def put(self, user_id: int, username: str, email: str) -> None:
        """Let a user be found by this name and address, and by no others."""
        await self._connection.execute(
            delete(user_search_words).where(user_search_words.c.user_id == user_id)
        )
        words = search_words(username, email)
        await self._connection.execute(
            _ADD, [{"user_id": user_id, "word": word} for word in sorted(words)]
        )

    async def find(self, search: str, after_id: int, limit: int) -> list[int]:
        """Return ids of users that have a word which begins so, in order."""
        first = search_key(search)
        if not first:
            return []
        found = await self._connection.scalars(
            _FIND,
            {
                "first": first,
                "beyond": first + _LAST_CHARACTER,
                "after_id": after_id,
                "most": limit,
            },
        )
        return list(found)

    async def fill(self, after_id: int, limit: int) -> tuple[int, int]:
        """Give words to users that have none: those of replicas of an older version.

        Looks at ``limit`` users beyond an id; returns the last one's id, and how many
        had none.
        """
        known = exists().where(user_search_words.c.user_id == users.c.id)
        rows = await self._connection.execute(
            select(users.c.id, users.c.username, users.c.email, known.label("known"))
            .where(users.c.id > after_id)
            .order_by(users.c.id)
            .limit(limit)
        )
        last_id, filled = after_id, 0
        for row in rows.all():
            last_id = row.id
            if not row.known:
                await self.put(row.id, row.username, row.email)
                filled += 1
        return last_id, filled
