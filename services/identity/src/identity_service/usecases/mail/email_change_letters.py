"""Announce a changed address to the old one."""

from dataclasses import dataclass

from identity_service.domain.accounts.emails import EmailAddress
from identity_service.domain.accounts.users import User
from identity_service.domain.mail import MailKind
from identity_service.domain.one_time_tokens import OF_MAILBOX, Purpose
from identity_service.storage.repositories import Repositories
from identity_service.usecases.mail.one_time_tokens import OneTimeTokens
from identity_service.usecases.mail.outbox import Outbox


@dataclass(frozen=True, slots=True)
class EmailChangeLetters:
    """Posts the letters that announce changes of address, however they were made.

    Each has a link that undoes the change (docs/decisions/0091).
    """

    tokens: OneTimeTokens
    outbox: Outbox

    @property
    def are_sent(self) -> bool:
        """Whether there is a mail server; without one no letter is posted."""
        return self.outbox.has_server

    async def post(self, unit: Repositories, before: User, now: EmailAddress) -> None:
        """Post to the address of ``before`` that the user has another one now.

        Tokens that were mailed to it become invalid.
        """
        await unit.one_time_tokens.remove_of_user(before.id, OF_MAILBOX)
        if not self.are_sent:
            return
        kind, purpose = MailKind.EMAIL_CHANGED, Purpose.EMAIL_CHANGE_UNDO
        await self.tokens.mail(unit, before, kind, purpose, address=now.text)
