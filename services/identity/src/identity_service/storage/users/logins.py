"""Look up users by credentials, with what a sign-in asks about them."""

from typing import Any, Final, NamedTuple

from sqlalchemy import Select

from identity_service.domain.accounts.case_folding import folded
from identity_service.domain.accounts.users import User
from identity_service.domain.factors import NO_FACTORS, Factors
from identity_service.domain.limits.sources import patterns_of_site
from identity_service.storage.factors.factors import read_factors
from identity_service.storage.repository import Repository
from identity_service.storage.users.queries import (
    BY_EMAIL_AND_SITE,
    BY_ID_AND_SITE,
    BY_KEY_AND_SITE,
    BY_LOGIN_AND_SITE,
    read_users,
)


class Login(NamedTuple):
    """The user whom credentials name."""

    user: User | None
    is_known_device: bool
    """Whether a session of theirs began at the site of this device."""
    factors: Factors


NOBODY: Final = Login(None, is_known_device=False, factors=NO_FACTORS)


class LoginRepository(Repository):
    """Users by what they are called where credentials are checked.

    Each method is one statement, so that a user that is there takes no longer than
    none. ``address`` is the device's.
    """

    async def by_login(self, key: str, email_key: str | None, address: str) -> Login:
        """Find whose name or else e-mail address this is."""
        if email_key is None:
            return await self._find(BY_KEY_AND_SITE, key, address)
        return await self._find(BY_LOGIN_AND_SITE, key, address, email_key=email_key)

    async def by_username_key(self, key: str, address: str) -> Login:
        """Find the user of a name."""
        return await self._find(BY_KEY_AND_SITE, key, address)

    async def by_email_key(self, key: str, address: str) -> Login:
        """Find the user of an e-mail address."""
        return await self._find(BY_EMAIL_AND_SITE, key, address)

    async def by_id(self, user_id: int, address: str) -> Login:
        """Find the user of an id."""
        return await self._find(BY_ID_AND_SITE, user_id, address)

    async def _find(
        self, query: Select[Any], key: str | int, address: str, **values: str
    ) -> Login:
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
            read_users([row for row in found if row.id is not None]),
            key=lambda each: (
                folded(each.username) != email_key,
                each.email_key != email_key,
            ),
            default=None,
        )
        row = next(row for row in found if user is None or row.id == user.id)
        return Login(user, row.is_known, read_factors(row))
