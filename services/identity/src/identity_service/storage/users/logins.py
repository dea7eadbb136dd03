"""Look up users by credentials, and whether they have signed in from this site."""

from typing import Any

from sqlalchemy import Select

from identity_service.domain.accounts.case_folding import folded
from identity_service.domain.accounts.users import User
from identity_service.domain.limits.sources import patterns_of_site
from identity_service.storage.repository import Repository
from identity_service.storage.users.queries import (
    BY_EMAIL_AND_SITE,
    BY_ID_AND_SITE,
    BY_KEY_AND_SITE,
    BY_LOGIN_AND_SITE,
    read_users,
)


class LoginRepository(Repository):
    """Users by what they are called where credentials are checked.

    Each method is one statement, so that a user that is there takes no longer than
    none. It returns the user, and whether a session of theirs began at the site of
    ``address``.
    """

    async def by_login(
        self, key: str, email_key: str | None, address: str
    ) -> tuple[User | None, bool]:
        """Find whose name or else e-mail address this is."""
        if email_key is None:
            return await self._find(BY_KEY_AND_SITE, key, address)
        return await self._find(BY_LOGIN_AND_SITE, key, address, email_key=email_key)

    async def by_username_key(self, key: str, address: str) -> tuple[User | None, bool]:
        """Find the user of a name."""
        return await self._find(BY_KEY_AND_SITE, key, address)

    async def by_email_key(self, key: str, address: str) -> tuple[User | None, bool]:
        """Find the user of an e-mail address."""
        return await self._find(BY_EMAIL_AND_SITE, key, address)

    async def by_id(self, user_id: int, address: str) -> tuple[User | None, bool]:
        """Find the user of an id."""
        return await self._find(BY_ID_AND_SITE, user_id, address)

    async def _find(
        self, query: Select[Any], key: str | int, address: str, **values: str
    ) -> tuple[User | None, bool]:
        """Return what the query finds.

        Of two users, the one of exactly this name, or else whose address it is: a name
        that only looks like the address is last.
        """
        like, or_like = patterns_of_site(address)
        rows = await self._connection.execute(
            query, {"key": key, "like": like, "or_like": or_like, **values}
        )
        found = rows.all()
        email_key = values.get("email_key")
        user = min(
            read_users(found),
            key=lambda each: (
                folded(each.username) != email_key,
                each.email_key != email_key,
            ),
            default=None,
        )
        return user, any(
            row.is_known for row in found if user is not None and row.id == user.id
        )
