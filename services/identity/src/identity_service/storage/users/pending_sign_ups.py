"""Sign-ups whose address has yet to be verified."""

from typing import Any

from sqlalchemy import Row, Select, delete, insert, literal, select, union_all, update
from sqlalchemy.exc import IntegrityError

from identity_service.domain.accounts.emails import EmailAddress
from identity_service.domain.accounts.roles import RoleName
from identity_service.domain.accounts.usernames import Username
from identity_service.domain.accounts.users import NewUser, PendingSignUp
from identity_service.domain.errors import UsernameTakenError
from identity_service.storage.repository import Repository
from identity_service.storage.tables import pending_sign_ups, users


class PendingSignUpRepository(Repository):
    """Pending sign-ups, within one transaction."""

    async def refuse_taken(self, username_key: str) -> None:
        """Raise `UsernameTakenError` if a user or a pending sign-up has the name."""
        found = await self._connection.scalar(
            union_all(
                select(literal(1)).where(users.c.username_key == username_key),
                select(literal(1)).where(
                    pending_sign_ups.c.username_key == username_key,
                    pending_sign_ups.c.expires_at > self._now(),
                ),
            ).limit(1)
        )
        if found is not None:
            raise UsernameTakenError

    async def add(self, pending: PendingSignUp) -> None:
        """Insert a sign-up, in place of one with this name that has expired.

        Raises `UsernameTakenError`: by a user, or by a sign-up that has not expired.
        """
        user = pending.user
        await self._connection.execute(
            delete(pending_sign_ups).where(
                pending_sign_ups.c.username_key == user.username.key,
                pending_sign_ups.c.expires_at <= user.created_at,
            )
        )
        try:
            await self._connection.execute(
                insert(pending_sign_ups).values(
                    id=pending.id,
                    digest=pending.digest,
                    username=user.username.text,
                    username_key=user.username.key,
                    email=user.email.text,
                    email_key=user.email.key,
                    password_hash=user.password_hash,
                    roles=" ".join(sorted(user.roles)),
                    created_at=user.created_at,
                    expires_at=pending.expires_at,
                )
            )
        except IntegrityError:
            raise UsernameTakenError from None
        await self._refuse_if_found(
            select(users.c.id).where(users.c.username_key == user.username.key)
        )

    async def refuse_reserved(self, username_key: str) -> None:
        """Raise `UsernameTakenError` if a pending sign-up has the name.

        Call it after the name has been written to the row of its new owner: of a user
        and a sign-up that are inserted at once, one at least finds the other.
        """
        await self._refuse_if_found(
            select(pending_sign_ups.c.id).where(
                pending_sign_ups.c.username_key == username_key,
                pending_sign_ups.c.expires_at > self._now(),
            )
        )

    async def _refuse_if_found(self, query: Select[Any]) -> None:
        """Raise `UsernameTakenError` if a row is found, or being written and kept.

        Of a user and a sign-up that wait for each other's row, the database undoes one,
        and it is tried again.
        """
        found = await self._connection.execute(query.with_for_update())
        if found.first() is not None:
            raise UsernameTakenError

    async def remove_of_name(self, username_key: str) -> None:
        """Remove the sign-up that reserves a name."""
        await self._connection.execute(
            delete(pending_sign_ups).where(
                pending_sign_ups.c.username_key == username_key
            )
        )

    async def get(self, token_id: str) -> PendingSignUp | None:
        """Return the sign-up that a token of this id verifies."""
        row = await self._row(
            select(pending_sign_ups).where(pending_sign_ups.c.id == token_id)
        )
        return None if row is None else _pending(row)

    async def newest_of(self, email_key: str) -> PendingSignUp | None:
        """Return the last sign-up with an address that has not expired."""
        row = await self._row(
            select(pending_sign_ups)
            .where(
                pending_sign_ups.c.email_key == email_key,
                pending_sign_ups.c.expires_at > self._now(),
            )
            .order_by(pending_sign_ups.c.created_at.desc())
            .limit(1)
        )
        return None if row is None else _pending(row)

    async def replace_token(
        self, pending: PendingSignUp, token_id: str, digest: bytes
    ) -> None:
        """Have another token verify a sign-up."""
        await self._connection.execute(
            update(pending_sign_ups)
            .where(pending_sign_ups.c.id == pending.id)
            .values(id=token_id, digest=digest)
        )

    async def spend(self, token_id: str) -> bool:
        """Remove a sign-up; of any number of simultaneous uses one alone gets True."""
        return await self._affects(
            delete(pending_sign_ups).where(pending_sign_ups.c.id == token_id)
        )


def _pending(row: Row[Any]) -> PendingSignUp:
    return PendingSignUp(
        id=row.id,
        digest=row.digest,
        user=NewUser(
            username=Username(row.username, row.username_key),
            email=EmailAddress(row.email, row.email_key),
            password_hash=row.password_hash,
            roles=frozenset(map(RoleName, row.roles.split())),
            created_at=row.created_at,
        ),
        expires_at=row.expires_at,
    )
