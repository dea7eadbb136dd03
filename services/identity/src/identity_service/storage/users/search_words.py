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

_IS_KNOWN: Final = (
    exists().where(user_search_words.c.user_id == users.c.id).label("is_known")
)


class SearchWordRepository(Repository):
    """The words of users, within one transaction."""

    async def put(self, user_id: int, username: str, email: str) -> None:
        """Let a user be found by this name and address, and by no others."""
        await self._connection.execute(
            delete(user_search_words).where(user_search_words.c.user_id == user_id)
        )
        await self._connection.execute(_ADD, _rows(user_id, username, email))

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
        had none. They are locked before their names are read, so that none is renamed
        meanwhile, or given words by another process.
        """
        found = await self._connection.execute(
            select(users.c.id, _IS_KNOWN)
            .where(users.c.id > after_id)
            .order_by(users.c.id)
            .limit(limit)
        )
        looked_at = found.all()
        last_id = looked_at[-1].id if looked_at else after_id
        ids = [row.id for row in looked_at if not row.is_known]
        if not ids:
            return last_id, 0
        unknown = users.c.id.in_(ids)
        await self._connection.execute(
            select(users.c.id).where(unknown).with_for_update()
        )
        rows = await self._connection.execute(
            select(users.c.id, users.c.username, users.c.email, _IS_KNOWN).where(
                unknown
            )
        )
        unnamed = [row for row in rows if not row.is_known]
        words = [
            word for row in unnamed for word in _rows(row.id, row.username, row.email)
        ]
        if words:
            await self._connection.execute(_ADD, words)
        return last_id, len(unnamed)


def _rows(user_id: int, username: str, email: str) -> list[dict[str, object]]:
    """Return the rows of a user's words."""
    words = sorted(search_words(username, email))
    return [{"user_id": user_id, "word": word} for word in words]
