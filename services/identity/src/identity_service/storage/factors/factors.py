"""Authenticator apps, recovery codes and spent challenges in the database."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Row,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from identity_service.domain.factors import Factors, TotpSecret
from identity_service.storage.repository import Repository, columns_of, record_of
from identity_service.storage.tables import (
    passkeys,
    recovery_codes,
    spent_challenges,
    totp_secrets,
)


def factors_of(user_id: ColumnElement[int]) -> tuple[ColumnElement[int], ...]:
    """Return the columns of which `read_factors` makes a user's factors."""
    totp, keys, codes = totp_secrets.c, passkeys.c, recovery_codes.c
    counted = {
        "totp": (totp.user_id == user_id, totp.confirmed_at.is_not(None)),
        "passkeys": (keys.user_id == user_id,),
        "recovery_codes": (codes.user_id == user_id,),
    }
    return tuple(
        select(func.count()).where(*which).scalar_subquery().label(name)
        for name, which in counted.items()
    )


def read_factors(row: Row[Any]) -> Factors:
    """Return the factors that a row with the columns of `factors_of` says."""
    return Factors(
        has_totp=row.totp > 0,
        passkeys=row.passkeys,
        recovery_codes=row.recovery_codes,
    )


_OF_USER: Final = select().add_columns(*factors_of(bindparam("user_id")))
"""Built once: it runs at each sign-in."""


class FactorRepository(Repository):
    """Second factors but for passkeys, within one transaction.

    Lock the user before changing them.
    """

    async def of(self, user_id: int) -> Factors:
        """Return which second factors a user has; 0 stands for no user."""
        rows = await self._connection.execute(_OF_USER, {"user_id": user_id})
        return read_factors(rows.one())

    async def get_totp(self, user_id: int) -> TotpSecret | None:
        """Return the secret of a user's authenticator app, confirmed or not."""
        row = await self._row(
            select(totp_secrets).where(totp_secrets.c.user_id == user_id)
        )
        return None if row is None else record_of(TotpSecret, row)

    async def put_totp(self, secret: TotpSecret) -> None:
        """Give a user a secret in place of the one they had."""
        await self.remove_totp(secret.user_id)
        await self._connection.execute(insert(totp_secrets).values(columns_of(secret)))

    async def remove_totp(self, user_id: int) -> bool:
        """Remove a user's secret; return whether there was one."""
        return await self._affects(
            delete(totp_secrets).where(totp_secrets.c.user_id == user_id)
        )

    async def confirm_totp(self, user_id: int) -> None:
        """Have a user's secret asked for from now on."""
        await self._connection.execute(
            update(totp_secrets)
            .where(totp_secrets.c.user_id == user_id)
            .values(confirmed_at=self._now())
        )

    async def spend_step(self, secret: TotpSecret, step: int) -> bool:
        """Spend the code of a step, and those before; return False if it is spent.

        So it is if the user has got another secret since. One statement, so of any
        number of simultaneous uses one alone succeeds.
        """
        return await self._affects(
            update(totp_secrets)
            .where(
                totp_secrets.c.user_id == secret.user_id,
                totp_secrets.c.created_at == secret.created_at,
                totp_secrets.c.last_step < step,
            )
            .values(last_step=step)
        )

    async def put_recovery_codes(self, user_id: int, hashes: Iterable[str]) -> None:
        """Give a user recovery codes in place of those they had."""
        await self.remove_recovery_codes(user_id)
        await self._connection.execute(
            insert(recovery_codes),
            [{"user_id": user_id, "code_hash": each} for each in hashes],
        )

    async def remove_recovery_codes(self, user_id: int) -> None:
        """Remove all recovery codes of a user."""
        await self._connection.execute(
            delete(recovery_codes).where(recovery_codes.c.user_id == user_id)
        )

    async def has_recovery_code(self, user_id: int, hashes: Sequence[str]) -> bool:
        """Return whether one of these is an unused recovery code of the user."""
        found = await self._connection.execute(
            select(literal(1)).where(
                recovery_codes.c.user_id == user_id,
                recovery_codes.c.code_hash.in_(hashes),
            )
        )
        return found.first() is not None

    async def spend_recovery_code(self, user_id: int, hashes: Sequence[str]) -> bool:
        """Use a recovery code up; return False if it was used."""
        return await self._affects(
            delete(recovery_codes).where(
                recovery_codes.c.user_id == user_id,
                recovery_codes.c.code_hash.in_(hashes),
            )
        )

    async def spend_challenge(self, digest: str, expires_at: datetime) -> bool:
        """Note a challenge as spent; return False if it is: the primary key decides."""
        values = {"digest": digest, "expires_at": expires_at}
        try:
            await self._connection.execute(insert(spent_challenges).values(values))
        except IntegrityError:
            return False
        return True

    async def totp_after(self, user_id: int, limit: int) -> list[TotpSecret]:
        """Return secrets in order of their users, after one of them."""
        rows = await self._connection.execute(
            select(totp_secrets)
            .where(totp_secrets.c.user_id > user_id)
            .order_by(totp_secrets.c.user_id)
            .limit(limit)
        )
        return [record_of(TotpSecret, row) for row in rows]

    async def reseal_totp(self, user_id: int, sealed: bytes, renewed: bytes) -> bool:
        """Replace a sealed secret by itself, unless it was changed meanwhile."""
        return await self._affects(
            update(totp_secrets)
            .where(
                totp_secrets.c.user_id == user_id,
                totp_secrets.c.sealed_secret == sealed,
            )
            .values(sealed_secret=renewed)
        )
