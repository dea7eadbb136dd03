"""Requests by unauthenticated clients for mail to an address.

Whether the address has an account is looked up later, by another task, so neither the
response nor its timing reveals it. A request costs one row.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass

from identity_service.domain.accounts.emails import EmailAddress
from identity_service.domain.errors import NotOfferedError
from identity_service.domain.mail import MailRequest, MailRequestKind
from identity_service.domain.sessions.sessions import Device
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.usecases.limits.throttling import Throttle
from identity_service.usecases.mail.outbox import Outbox
from service_kit.languages.accepting import preferred_language

MailRequestHandler = Callable[[Repositories, MailRequest], Awaitable[bool]]
"""Posts the letter, if there is one to post, within the transaction it is given;
returns whether there was."""

MailRequestHandlers = Mapping[MailRequestKind, MailRequestHandler]


@dataclass(frozen=True, slots=True)
class MailRequests:
    """Stores requests for mail."""

    database: Database
    outbox: Outbox
    throttle: Throttle
    offered: Collection[MailRequestKind]

    async def ask(
        self, kind: MailRequestKind, untrusted_email: str, device: Device
    ) -> None:
        """Request a mail to an address, which is sent if an account has it.

        Raises `NotOfferedError`; `InvalidEmailError`: this cannot be an e-mail address;
        `TooManyAttemptsError`: for this address, or from this source.
        """
        self.outbox.require_server()
        if kind not in self.offered:
            raise NotOfferedError
        email = EmailAddress.parse(untrusted_email)
        await self.throttle.reserve_mail(kind, email.key, device.address)
        request = MailRequest(
            kind=kind,
            email_key=email.key,
            language=preferred_language.get(),
            address=device.address,
        )
        await self.database.write(lambda unit: unit.outbox.add_request(request))
