"""The outbox: letters are put in by the transaction that causes them."""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from identity_service.domain.accounts.users import User
from identity_service.domain.errors import NotOfferedError
from identity_service.domain.mail import Letter, MailKind, StoredLetter
from identity_service.security.keyrings import SealBrokenError, Sealer
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from service_kit.languages.accepting import preferred_language

_ID_SIZE: Final = 16

_PAGE: Final = 1000
"""Letters that the operator sees or revives at a time."""


_BATCH: Final = 200
"""Letters read at a time where all are."""


@dataclass(frozen=True, slots=True)
class Outbox:
    """Mail that has not been sent, sealed: it holds tokens, names and addresses."""

    database: Database
    sealer: Sealer
    has_server: bool
    """Whether mail can be sent."""

    def require_server(self) -> None:
        """Return if mail can be sent, else raise `NotOfferedError`."""
        if not self.has_server:
            raise NotOfferedError

    async def post_to(
        self,
        unit: Repositories,
        user: User,
        kind: MailKind,
        *,
        language: str | None = None,
        **values: str,
    ) -> None:
        """Post a letter to a user's address, with `User.name_in_mail` and these values.

        ``language`` is that of the request being served, unless another is given.
        """
        letter = Letter(
            kind=kind,
            to=user.email,
            language=language or preferred_language.get(),
            user_id=user.id,
            values={"username": user.name_in_mail, **values},
        )
        await self.post(unit, letter)

    async def post(self, unit: Repositories, letter: Letter) -> None:
        """Add a letter, within the caller's transaction.

        Without a mail server, do nothing: what depends on mail calls `require_server`.
        """
        if not self.has_server:
            return
        now, letter_id = unit.now(), secrets.token_hex(_ID_SIZE)
        content = {
            "to": letter.to,
            "language": letter.language,
            "values": dict(letter.values),
        }
        await unit.outbox.add(
            StoredLetter(
                id=letter_id,
                kind=letter.kind,
                user_id=letter.user_id,
                sealed=self.sealer.seal(
                    json.dumps(content).encode(), _place(letter_id, letter.kind)
                ),
                created_at=now,
                due_at=now,
                dead_at=None,
            )
        )

    def unseal(self, stored: StoredLetter) -> Letter:
        """Return the letter.

        Raises `SealBrokenError`: no key-encryption key opens it; `ValueError`: a later
        version wrote it: this one knows no such kind.
        """
        opened = self.sealer.open(stored.sealed, _place(stored.id, stored.kind))
        content = json.loads(opened)
        return Letter(
            kind=MailKind(stored.kind),
            to=content["to"],
            language=content["language"],
            user_id=stored.user_id,
            values=content["values"],
        )

    async def reseal(self) -> tuple[int, int]:
        """Reseal letters that the first key did not seal.

        Return how many were resealed, and how many do not open with any key.
        """
        resealed, unopened, after = 0, 0, ""
        while batch := await self.database.read(partial(_letters_after, after)):
            for stored in batch:
                try:
                    resealed += await self._reseal(stored)
                except SealBrokenError:
                    unopened += 1
            after = batch[-1].id
        return resealed, unopened

    async def _reseal(self, stored: StoredLetter) -> bool:
        place = _place(stored.id, stored.kind)
        renewed = self.sealer.reseal(stored.sealed, place)
        if renewed is None:
            return False
        return await self.database.write(
            lambda unit: unit.outbox.reseal(stored.id, stored.sealed, renewed)
        )

    async def page(self, *, dead: bool) -> list[StoredLetter]:
        """Return dead letters, or those that wait, the oldest first."""
        return await self.database.read(lambda unit: unit.outbox.page(_PAGE, dead=dead))

    async def resend(self, letter_ids: Sequence[str]) -> int:
        """Have these dead letters sent, or all if none is named; return how many."""
        if letter_ids:
            return await self.database.write(
                lambda unit: unit.outbox.resend(letter_ids)
            )
        _, dead = await self.count()
        pages = range(0, dead, _PAGE)
        return sum([await self.database.write(_resend_oldest) for _ in pages])

    async def count(self) -> tuple[int, int]:
        """Return how many letters wait, and how many are dead."""
        return await self.database.read(lambda unit: unit.outbox.count())


async def _letters_after(letter_id: str, unit: Repositories) -> list[StoredLetter]:
    return await unit.outbox.after(letter_id, _BATCH)


async def _resend_oldest(unit: Repositories) -> int:
    letters = await unit.outbox.page(_PAGE, dead=True)
    return await unit.outbox.resend([each.id for each in letters])


def _place(letter_id: str, kind: str) -> bytes:
    """Return what a letter is sealed for: it opens in no other row."""
    return f"mail/{letter_id}/{kind}".encode()
