"""Issue and check tokens that are mailed."""

import hmac
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from identity_service.domain.accounts.emails import EmailAddress
from identity_service.domain.accounts.users import User
from identity_service.domain.mail import Letter, MailKind
from identity_service.domain.one_time_tokens import (
    LIFETIMES,
    OF_MAILBOX,
    Purpose,
    StoredToken,
)
from identity_service.security.one_time_tokens import OneTimeToken, make_token
from identity_service.storage.repositories import Repositories
from identity_service.usecases.mail.outbox import Outbox
from service_kit.clock import Clock
from service_kit.languages.accepting import preferred_language

_UNITS: Final = {
    "minutes": timedelta(minutes=1),
    "hours": timedelta(hours=1),
    "days": timedelta(days=1),
}


async def owner_of(unit: Repositories, email_key: str) -> User | None:
    """Return the user of an address, which they keep until the transaction ends.

    A change of address takes back the tokens that are there: one that is made in that
    moment would stay valid for the owner of the old address.
    """
    found = await unit.users.get_by_email_key(email_key)
    user = None if found is None else await unit.users.lock(found.id)
    return user if user is not None and user.email_key == email_key else None


@dataclass(frozen=True, slots=True)
class OneTimeTokens:
    """Issues, mails and checks tokens of users, for any purpose."""

    outbox: Outbox
    clock: Clock

    async def mail(
        self,
        unit: Repositories,
        user: User,
        kind: MailKind,
        purpose: Purpose,
        *,
        about: str | None = None,
        language: str | None = None,
        **values: str,
    ) -> None:
        """Post a letter with a new token to a user; see `Outbox.post_to`."""
        token = await self.issue(
            unit, purpose, user.id, user.email_address, about=about
        )
        lifetime = lifetime_values(LIFETIMES[purpose])
        await self.outbox.post_to(
            unit, user, kind, language=language, token=token, **lifetime, **values
        )

    async def announce_address(
        self, unit: Repositories, before: User, now: EmailAddress
    ) -> None:
        """Post to the address of ``before`` that the user has another one now.

        The letter has a link that undoes the change (docs/decisions/0091). Tokens that
        were mailed to the old address become invalid.
        """
        await unit.one_time_tokens.remove_of_user(before.id, OF_MAILBOX)
        if self.outbox.has_server:
            kind, purpose = MailKind.EMAIL_CHANGED, Purpose.EMAIL_CHANGE_UNDO
            await self.mail(unit, before, kind, purpose, address=now.text)

    async def issue(
        self,
        unit: Repositories,
        purpose: Purpose,
        user_id: int,
        email: EmailAddress,
        *,
        about: str | None = None,
    ) -> str:
        """Store a new token for an address, and return it as it is mailed.

        Earlier ones stay valid until one is used: otherwise an attacker could
        invalidate them by requesting more.
        """
        token, made = make_token()
        await self.store(unit, purpose, user_id, email, made, about=about)
        return token

    async def store(
        self,
        unit: Repositories,
        purpose: Purpose,
        user_id: int,
        email: EmailAddress,
        made: OneTimeToken,
        *,
        about: str | None = None,
    ) -> None:
        """Store a token or a code that has been made."""
        now = self.clock()
        await unit.one_time_tokens.add(
            StoredToken(
                id=made.id,
                purpose=purpose,
                user_id=user_id,
                digest=made.digest,
                email=email.text,
                email_key=email.key,
                created_at=now,
                expires_at=now + LIFETIMES[purpose],
                about=about,
            )
        )

    def is_good(
        self,
        stored: StoredToken | None,
        presented: OneTimeToken,
        purposes: Collection[Purpose],
    ) -> bool:
        """Return whether what was presented is a stored token for one of these."""
        return (
            stored is not None
            and hmac.compare_digest(stored.digest, presented.digest)
            and stored.purpose in purposes
            and self.clock() < stored.expires_at
        )


def letter_to(
    email: EmailAddress,
    kind: MailKind,
    token: str,
    lifetime: timedelta,
    *,
    user_id: int | None = None,
    language: str | None = None,
) -> Letter:
    """Return a letter with a token to an address that is no user's yet."""
    return Letter(
        kind=kind,
        to=email.text,
        language=language or preferred_language.get(),
        user_id=user_id,
        values={"username": email.text, "token": token, **lifetime_values(lifetime)},
    )


def lifetime_values(lifetime: timedelta) -> dict[str, str]:
    """Return how long a token lives, in each unit that a template may name."""
    return {name: str(max(1, lifetime // unit)) for name, unit in _UNITS.items()}
